import sys

import keras
import pytest
from typer.testing import CliRunner

from keras_l2o import strategies
from keras_l2o.cli import application
from keras_l2o_commands import tensorboard

pytestmark = [
    pytest.mark.backend,
    pytest.mark.usefixtures("few_outer_steps"),
]

SHORT = """
--presets=adam,digits_train --problems/0/batch_size=16 --policy/units=[2]
--strategy=simple --strategy/episodes=1 --strategy/unroll=2
--strategy/depth=2 --strategy/validation_depth=1 --training/tasks=1
--training/validation_tasks=1
""".split()


def scalars(folder):
    """Dict from tags to dicts from steps to values."""
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: {e.step: float(make_ndarray(e.tensor_proto)) for e in found}
        for tag in events.Tags()["tensors"]
        for found in [events.Tensors(tag)]
    }


@pytest.mark.parametrize(
    "replicates",
    ["null", *["2"] * (keras.backend.backend() == "jax")],
)
def test_event_files_have_each_outer_step_and_each_period(tmp_path, replicates):
    result = CliRunner().invoke(
        application,
        ["train", f"--directory={tmp_path}", "--tensorboard", *SHORT,
         "--strategy/num_periods=2", f"--replicates={replicates}"],
    )  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    found = scalars(tmp_path / "tensorboard")
    rows = strategies.RunDirectory(tmp_path).rows()
    assert sorted(found["outer_step/loss"]) == [0, 1, 2, 3]
    assert found["period/val_log_loss"] == pytest.approx(
        {i: row.figures["val_log_loss"] for i, row in enumerate(rows)}
    )
    assert found["period/loss"] == pytest.approx(
        {i: row.figures["loss"] for i, row in enumerate(rows)}
    )


def test_the_steps_of_a_run_that_is_taken_up_again_go_on(tmp_path):
    arguments = ["train", f"--directory={tmp_path}", "--tensorboard", *SHORT,
                 "--strategy/num_periods=3"]  # fmt: skip

    class Stop(Exception):
        pass

    def stop(self, rows, validation):
        if len(rows) == 1:
            raise Stop
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strategies.Simple, "keeps", stop)
        result = CliRunner().invoke(application, arguments)
        assert isinstance(result.exception, Stop)
    result = CliRunner().invoke(
        application, ["resume", str(tmp_path), "--tensorboard"]
    )
    assert result.exit_code == 0, (result.output, result.exception)
    found = scalars(tmp_path / "tensorboard")
    assert sorted(found["outer_step/loss"]) == [0, 1, 2, 3, 4, 5]
    assert sorted(found["period/loss"]) == [0, 1, 2]


def test_without_tensorboard_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-l2o\[tensor"):
        tensorboard.TensorBoard("folder", strategies.Simple(num_periods=1))
