import csv
import json
import math

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import strategies
from tests.strategies.helpers import SMALL
from tests.strategies.helpers import Stop
from tests.strategies.helpers import curriculum
from tests.strategies.helpers import simple
from tests.strategies.helpers import summary

pytestmark = pytest.mark.backend


def test_a_run_leaves_its_files(bench, tmp_path):
    strategy = curriculum(tmp_path)
    history = bench.run(strategy)
    lines = summary(tmp_path)
    assert sorted({line["stage"] for line in lines}) == ["0", "1"]
    assert len(history.epoch) == len(lines)
    assert history.history["val_log_loss"] == [
        float(line["validation"]) for line in lines
    ]
    best = strategy.best(strategy.rows)
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json", "checkpoints", "logs", "evaluations", "optimizer",
        "summary.csv",
    }  # fmt: skip
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    kept = {best.checkpoint, strategy.rows[-1].checkpoint}
    assert names == {f"{name}.weights.h5" for name in kept}
    logs = sorted(path.stem for path in (tmp_path / "logs").iterdir())
    assert logs == sorted(
        "-".join(line[key] for key in ("stage", "period", "attempt"))
        for line in lines
    )
    with open(tmp_path / "logs" / "0-0-0.csv") as file:
        steps = list(csv.DictReader(file))
    assert len(steps) == 2 * (1 + 1)  # episodes times depth and warm-up
    assert math.isfinite(float(steps[-1]["loss"]))
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["run"]["strategy"]["num_stages"] == 2
    assert config["versions"]["keras_l2o"] == keras_l2o.__version__


def test_the_optimizer_is_the_best_student_with_its_figures(bench, tmp_path):
    strategy = curriculum(tmp_path, metadata={"command": "test"})
    bench.run(strategy)
    optimizer = keras_l2o.load(tmp_path / "optimizer")
    best = strategy.best(strategy.rows)
    for saved, trained in zip(
        optimizer.policy.get_weights(), bench.model.student.get_weights()
    ):
        np.testing.assert_array_equal(saved, trained)
    assert (optimizer.warmup_steps, optimizer.warmup_rate) == (3, 0.05)
    folder = tmp_path / "optimizer"
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["command"] == "test"
    assert metadata["checkpoint"] == best.checkpoint
    assert metadata["figures"]["val_log_loss"] == best.validation
    digests = [problem.digest() for problem in bench.model.problems]
    assert list(metadata["data"].values()) == digests
    # how it was made is kept out of how it is used
    config = json.loads((folder / "config.json").read_text())
    assert set(config) == {
        "format_version", "policy", "learning_rate", "warmup_steps",
        "warmup_rate",
    }  # fmt: skip


def test_the_same_seeds_give_the_same_weights_and_summary(bench, tmp_path):
    results = []
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        bench.run(curriculum(tmp_path / name, seed=seed))
        results.append((bench.weights(), summary(tmp_path / name)))
    one, two, three = results
    np.testing.assert_array_equal(one[0], two[0])
    assert one[1] == two[1]
    assert (one[0] != three[0]).any()


def test_a_stopped_run_goes_on_to_what_it_would_have_been(bench, tmp_path):
    bench.run(curriculum(tmp_path / "whole"))
    whole = bench.weights()
    for epoch, batch in ((0, 1), (1, 0), (3, 2)):
        with pytest.raises(Stop.Now):
            bench.run(curriculum(tmp_path / "parts"), Stop(epoch, batch))
    history = bench.run(curriculum(tmp_path / "parts"))
    assert history.epoch[0] == 3
    np.testing.assert_array_equal(whole, bench.weights())
    assert summary(tmp_path / "whole") == summary(tmp_path / "parts")


def test_deaths_beside_any_write_lose_nothing(bench, tmp_path, monkeypatch):
    def strategy(name):
        return simple(tmp_path / name, num_periods=7, episodes=1)

    bench.run(strategy("whole"))
    whole = bench.weights()
    writes = "_write save_checkpoint save_optimizer keep_checkpoints".split()
    deaths = [(write, after) for write in writes for after in (False, True)]
    for write, after in deaths:
        original = getattr(strategies.RunDirectory, write)

        def dies(self, *args, original=original, after=after):
            if after:
                original(self, *args)
            raise Stop.Now

        with monkeypatch.context() as patch:
            patch.setattr(strategies.RunDirectory, write, dies)
            with pytest.raises(Stop.Now):
                bench.run(strategy("parts"))
    bench.run(strategy("parts"))
    np.testing.assert_array_equal(whole, bench.weights())
    assert summary(tmp_path / "whole") == summary(tmp_path / "parts")
    assert keras_l2o.load(tmp_path / "parts" / "optimizer")


def test_a_finished_run_is_left_as_it_is(bench, tmp_path):
    bench.run(simple(tmp_path))
    first, before = bench.weights(), (tmp_path / "summary.csv").read_bytes()
    history = bench.run(simple(tmp_path))
    assert history.epoch == []
    assert (tmp_path / "summary.csv").read_bytes() == before
    np.testing.assert_array_equal(first, bench.weights())


def test_a_rolled_back_period_starts_again_from_the_last_checkpoint(
    bench, tmp_path
):
    class Doubt(strategies.Repeat):
        def keeps(self, rows, validation):
            return len(rows) != 1  # the second period, once

    begun = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: begun.append(bench.weights())
    )
    bench.run(Doubt(tmp_path, num_periods=3, depth=1, warmup=1, **SMALL), note)
    lines = summary(tmp_path)
    assert [line["kept"] for line in lines] == ["True", "False", "True", "True"]
    assert [line["attempt"] for line in lines] == ["0", "0", "1", "0"]
    np.testing.assert_array_equal(begun[1], begun[2])
    # on other data
    assert lines[1]["loss"] != lines[2]["loss"]
    assert not (tmp_path / "checkpoints" / "0-1-0.weights.h5").exists()


def test_callbacks_see_one_training(bench):
    events = []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            events.append("begin")

        def on_train_end(self, logs=None):
            events.append("end")

        def on_epoch_end(self, epoch, logs=None):
            events.append(epoch)
            assert "val_log_loss" in logs

    history = bench.run(simple(), Watch())
    assert events == ["begin", 0, 1, 2, "end"]
    assert history.epoch == [0, 1, 2]
    assert len(history.history["loss"]) == 3


def test_a_callback_may_stop_the_run_between_periods(bench, tmp_path):
    class Enough(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    bench.run(simple(tmp_path), Enough())
    assert len(summary(tmp_path)) == 1
    bench.run(simple(tmp_path))
    assert len(summary(tmp_path)) == 3


def test_the_imitation_weight_and_the_lengths_follow_the_plan(bench):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            weight = float(self.model.imitation_weight.numpy())
            seen.append((self.params["steps"], round(weight, 4)))

    strategy = strategies.Repeat(
        num_periods=3, depth=[1, 2], warmup=[0, 1], **SMALL
    )
    bench.run(strategy, Watch())
    assert seen == [(2, 0.5), (6, 0.1), (6, 0.1)]


def test_another_configuration_in_the_same_directory_is_an_error(
    bench, tmp_path
):
    bench.run(simple(tmp_path))
    with pytest.raises(ValueError, match="strategy/episodes is 2 there and 3"):
        bench.run(simple(tmp_path, episodes=3))


def test_two_strategies_are_one_too_many(bench):
    with pytest.raises(ValueError, match="one strategy at most"):
        bench.run(simple(), simple())


def test_a_run_that_is_cut_off_leaves_no_scratch(bench, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    class Cut(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            assert list(tmp_path.iterdir())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(simple(), Cut())
    assert not list(tmp_path.iterdir())
