"""Runs whose files or students somebody or something has spoilt."""

import csv
import shutil

import h5py
import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import strategies
from tests.strategies.helpers import SMALL
from tests.strategies.helpers import Stop
from tests.strategies.helpers import simple
from tests.strategies.helpers import summary

pytestmark = pytest.mark.backend


@pytest.fixture(scope="module")
def begun(bench, tmp_path_factory):
    """A run of three periods that was stopped in its last."""
    directory = tmp_path_factory.mktemp("begun") / "run"
    with pytest.raises(Stop.Now):
        bench.run(simple(directory), Stop(2, 0))
    return directory


def test_a_changed_checkpoint_is_refused(bench, begun, tmp_path):
    directory = shutil.copytree(begun, tmp_path / "run")
    path = directory / "checkpoints" / "0-1-0.weights.h5"
    data = path.read_bytes()
    with h5py.File(path, "r+") as file:
        found = []
        file.visititems(lambda _, item: found.append(item))
        array = next(x for x in found if getattr(x, "ndim", 0) == 2)
        array[0, 0] = np.nan
    with pytest.raises(strategies.RunError, match=r"0-1-0\.weights\.h5 is not"):
        bench.run(simple(directory))
    path.write_bytes(data)
    bench.run(simple(directory))


def test_an_older_checkpoint_is_refused(bench, tmp_path):
    with pytest.raises(Stop.Now):
        bench.run(simple(tmp_path), Stop(1, 0))
    folder = tmp_path / "checkpoints"
    first = (folder / "0-0-0.weights.h5").read_bytes()
    with pytest.raises(Stop.Now):
        bench.run(simple(tmp_path), Stop(2, 0))
    (folder / "0-1-0.weights.h5").write_bytes(first)
    with pytest.raises(strategies.RunError, match=r"0-1-0\.weights\.h5 is not"):
        bench.run(simple(tmp_path))


def test_a_removed_row_is_refused(bench, begun, tmp_path):
    directory = shutil.copytree(begun, tmp_path / "run")
    path = directory / "summary.csv"
    header, _, second = path.read_text().splitlines(keepends=True)
    path.write_text(header + second)
    with pytest.raises(strategies.RunError, match=r"summary\.csv is not as"):
        bench.run(simple(directory))
    path.write_text(header + second[: len(second) // 2])
    with pytest.raises(strategies.RunError, match=r"summary\.csv is damaged"):
        bench.run(simple(directory))


def test_a_run_of_a_time_without_digests_goes_on(bench, begun, tmp_path):
    directory = shutil.copytree(begun, tmp_path / "run")
    with open(directory / "summary.csv") as file:
        lines = list(csv.DictReader(file))
    with open(directory / "summary.csv", "w") as file:
        names = [name for name in lines[0] if name != "sha256"]
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)
    bench.run(simple(directory))
    assert [bool(line["sha256"]) for line in summary(directory)] == [
        False, False, True,
    ]  # fmt: skip


class Spoil(keras.callbacks.Callback):
    """Makes the student's weights NaN at the end of some periods."""

    def __init__(self, *epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        if epoch in self.epochs:
            weight = self.model.student.weights[0]
            weight.assign(np.full(weight.shape, np.nan))


def test_a_student_that_is_not_finite_ends_a_run_in_a_line(bench, tmp_path):
    with pytest.raises(
        strategies.RunError, match="student is not finite after period 0-1-0"
    ):
        bench.run(simple(tmp_path), Spoil(1))
    assert len(summary(tmp_path)) == 1
    optimizer = keras_l2o.load(tmp_path / "optimizer")
    assert np.isfinite(optimizer.policy.get_weights()[0]).all()
    bench.run(simple(tmp_path))
    assert len(summary(tmp_path)) == 3


def test_a_student_that_is_not_finite_is_rolled_back_where_it_can_be(
    bench, tmp_path
):
    plan = strategies.Repeat(
        tmp_path, num_periods=3, depth=1, warmup=1, **SMALL
    )
    bench.run(plan, Spoil(1))
    lines = summary(tmp_path)
    assert [line["kept"] for line in lines] == ["True", "False", "True", "True"]
    assert lines[1]["validation"] == "inf"
    assert np.isfinite(bench.weights()).all()


def test_files_of_others_survive_a_run(bench, tmp_path):
    names = (".git/HEAD", ".env", "checkpoints/mine.weights.h5", "logs/.mine")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    for _ in range(2):
        bench.run(simple(tmp_path))
    assert all((tmp_path / name).read_text() == name for name in names)


def test_a_run_that_is_going_on_is_refused_to_others_and_read(bench, tmp_path):
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            files = strategies.RunDirectory(tmp_path)
            with pytest.raises(strategies.RunError, match="in use by process"):
                files.open(files.config())
            if epoch:
                folder = files.optimizers()[""]
                seen.append(keras_l2o.load(folder).source)

    bench.run(simple(tmp_path), Look())
    assert len(seen) == 2
    assert not (tmp_path / ".keras_l2o-lock").exists()
