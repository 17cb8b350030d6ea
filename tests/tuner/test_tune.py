import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

import keras_l2o
from keras_l2o import config
from keras_l2o.cli import application
from keras_l2o.tuner import crew
from keras_l2o.tuner import search

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:keras_tuner.*"
)

#: Trials of a second.
SHORT = """
--presets=adam --problems/0/name=digits_mlp --problems/0/batch_size=16
--policy/units=[2] --strategy/num_periods=1 --strategy/episodes=1
--strategy/unroll=2 --strategy/depth=1 --strategy/validation_depth=1
--training/tasks=1 --training/validation_tasks=1 --replicates=1
""".split()


def invoke(*arguments):
    return CliRunner().invoke(application, ["tune", *map(str, arguments)])


def check_trials(directory, count):
    """All trials are done, each once, no two alike, and zero among them."""
    trials = search.read_trials(directory)
    assert [trial.name for trial in trials] == [str(n) for n in range(count)]
    assert {trial.status for trial in trials} == {"COMPLETED"}
    assert [trial.perturbation is None for trial in trials] == [
        True, *[False] * (count - 1),
    ]  # fmt: skip
    assert len({json.dumps(trial.perturbation) for trial in trials}) == count
    oracle = json.loads((directory / "trials" / "oracle.json").read_text())
    assert oracle["run_times"] == {trial.name: 1 for trial in trials}
    assert sorted(oracle["end_order"]) == sorted(oracle["run_times"])
    return trials


def check_best(directory, trials):
    best = min(trials, key=lambda trial: trial.figures["default_objective"])
    assert json.loads((directory / "best.json").read_text()) == {
        "trial": best.name,
        "perturbation": best.perturbation,
        "figures": best.figures,
    }
    problem = keras_l2o.problems.get("digits_mlp")
    model = problem.new_model(0)
    model.compile(keras_l2o.load(directory / "optimizer"), "mse")
    history = model.fit(np.ones((8, 8, 8, 1)), np.ones((8, 10)), verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_help_shows_an_example():
    result = invoke("--help")
    assert result.exit_code == 0
    assert "Example: keras-l2o tune" in result.output
    assert "KERASTUNER_TUNER_ID" in result.output


def test_workers_are_given_every_option_that_was_typed_zero_included(
    tmp_path, monkeypatch
):
    class Started(Exception):
        pass

    def started(command, workers, logs, on_poll):
        raise Started(command)

    monkeypatch.setattr(crew, "run", started)
    arguments = [
        "--spread-weight=0.0", "--seed=0", "--tuner=bayesian", "--tensorboard",
        "--strategy/num_periods=2",
    ]  # fmt: skip
    result = invoke(f"--directory={tmp_path}", "--workers=2", *arguments)
    assert isinstance(result.exception, Started)
    (command,) = result.exception.args
    assert set(arguments) <= set(command)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["spread_weight"] == 0


@pytest.mark.timeout(600)  # four processes
@pytest.mark.usefixtures("few_outer_steps")
def test_a_chief_and_two_workers_do_every_trial_once(tmp_path):
    arguments = [
        f"--directory={tmp_path}", "--workers=2", "--trials=3",
        "--kinds=gaussian,fgsm", "--tensorboard", *SHORT,
    ]  # fmt: skip
    result = invoke(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "Trials of" in result.output
    check_best(tmp_path, check_trials(tmp_path, 3))
    for name in ("chief", "worker0", "worker1"):
        assert (
            "Traceback" not in (tmp_path / "logs" / f"{name}.log").read_text()
        )
    for trial in range(3):
        assert any((tmp_path / "tensorboard" / str(trial)).rglob("events*"))

    # one trial more, in this process
    more = [a for a in arguments if a not in ("--workers=2", "--trials=3")]
    result = invoke(*more, "--trials=4")
    assert result.exit_code == 0, (result.output, result.exception)
    check_best(tmp_path, check_trials(tmp_path, 4))

    # another search has no place there
    result = invoke(*more, "--trials=4", "--policy/units=[3]")
    assert "holds another search" in str(result.exception)


@pytest.mark.timeout(600)  # four processes, and a fifth
def test_a_search_whose_worker_is_killed_ends_with_every_trial_done(tmp_path):
    launcher = subprocess.Popen(
        [sys.executable, "-m", "keras_l2o.cli", "tune", *SHORT,
         f"--directory={tmp_path}", "--workers=2", "--trials=3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )  # fmt: skip
    try:
        trial, victim = running(launcher, tmp_path, "worker0")
        victim.send_signal(signal.SIGKILL)
        output, _ = launcher.communicate(timeout=250)
    finally:
        if launcher.poll() is None:
            launcher.terminate()
            launcher.communicate(timeout=30)
    assert launcher.returncode == 0, output
    check_best(tmp_path, check_trials(tmp_path, 3))
    log = (tmp_path / "logs" / "worker0.log").read_text()
    assert "Traceback" not in log
    assert not psutil.pid_exists(victim.pid)
    assert (tmp_path / "trials" / f"trial_{trial}" / "optimizer").is_dir()


def running(launcher, directory, name):
    """A worker's running trial and its process, once it has one."""
    deadline = time.monotonic() + 200
    path = directory / "trials" / "oracle.json"
    while time.monotonic() < deadline:
        assert launcher.poll() is None, launcher.communicate()[0]
        try:
            trial = json.loads(path.read_text())["ongoing_trials"].get(name)
        except (OSError, ValueError):  # not there yet, or half written
            trial = None
        if trial is not None:
            for process in psutil.Process(launcher.pid).children():
                if process.environ().get("KERASTUNER_TUNER_ID") == name:
                    return trial, process
        time.sleep(0.02)
    raise AssertionError("no trial has begun in 200 seconds")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--presets=adam,pgd"], "preset or field that sets pgd"),
        (["--kinds=gausian"], "'gausian'"),
        (["--trails=3"], "Did you mean --trials?"),
        (
            ["--tuner=hyperband", "--strategy=curriculum"],
            "--strategy=simple or repeat",
        ),
    ],
)
def test_an_error_is_raised_before_anything_is_written(
    tmp_path, arguments, message
):
    result = invoke(f"--directory={tmp_path / 'search'}", *arguments)
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert not (tmp_path / "search").exists()


# a run that fails leaves its scratch folder to the garbage collector
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
@pytest.mark.usefixtures("few_outer_steps")
def test_a_search_of_failures_says_so(tmp_path):
    result = invoke(
        f"--directory={tmp_path}",
        "--trials=2",
        *SHORT,
        "--optimizer/config/learning_rate=1e39",
    )
    assert "is not finite" in str(result.exception)
    trials = search.read_trials(tmp_path)
    assert [trial.status for trial in trials] == ["FAILED"] * 2


def test_a_trial_of_a_familys_recipe_trains_its_students_one_by_one():
    from keras_l2o_commands import tune

    presets = ["release", "min_max", "compact_narrow", "debug"]
    configuration = config.resolve(presets, strategy="simple")
    assert configuration.replicates == 8
    trainer, _ = tune._built(configuration, 3)
    assert isinstance(trainer, keras_l2o.MetaTrainer)
