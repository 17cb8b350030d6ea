"""Searches in a directory: their tuner, their trials and the best of them."""

import contextlib
import json
import math
import os
import pathlib
from typing import NamedTuple

import keras_tuner

from keras_l2o import hub
from keras_l2o.files import whole
from keras_l2o.files.lock import Lock
from keras_l2o.tuner import keras_tuner_internals
from keras_l2o.tuner import space
from keras_l2o.tuner.errors import SearchError

TUNERS = {
    "bayesian": keras_tuner.BayesianOptimization,
    "grid": keras_tuner.GridSearch,
    "hyperband": keras_tuner.Hyperband,
    "random": keras_tuner.RandomSearch,
}

PROJECT = "trials"
CONFIG = "config.json"
BEST = "best.json"
OPTIMIZER = "optimizer"

ENDED = ("COMPLETED", "FAILED")


class Trial(NamedTuple):
    """A trial of a search, as it is on disk.

    Attributes:
        name: String, such as `"07"`.
        status: String, such as `"COMPLETED"` or `"FAILED"`.
        perturbation: Dict with the name and the arguments of a perturbation,
            or `None` for none.
        figures: Dict of floats; empty before the trial's end.
        message: String. Why it failed, if this process has seen it.
    """

    name: str
    status: str
    perturbation: dict | None
    figures: dict
    message: str = ""


def role():
    """`"chief"`, `"worker"` or `"alone"`, as the environment says."""
    if "KERASTUNER_ORACLE_IP" not in os.environ:
        return "alone"
    chief = "chief" in os.environ.get("KERASTUNER_TUNER_ID", "")
    return "chief" if chief else "worker"


def make_tuner(name, hypermodel, directory, trials, epochs, seed=0):
    """Makes a tuner, which continues the search in a directory if there is one.

    Args:
        name: String, one of `TUNERS`.
        hypermodel: `PerturbationHyperModel`.
        directory: Path.
        trials: Int. The most trials to make; Hyperband ignores it and makes
            its own number.
        epochs: Int. The most epochs of a trial; only Hyperband uses it.
        seed: Int.
    """
    project = pathlib.Path(directory, PROJECT)
    options = {
        "random": {"max_trials": trials},
        "grid": {"max_trials": trials},
        "bayesian": {
            "max_trials": trials,
            # Its own default is more random trials than most searches have.
            "num_initial_points": max(3, trials // 3),
        },
        "hyperband": {"max_epochs": epochs},
    }
    chooses = role() != "worker"
    state = project / keras_tuner_internals.STATE
    if chooses and not any(project.glob("trial_*")):
        # A search without a trial must start with the first of its space.
        keras_tuner_internals.forget_all(project)
    if chooses and state.exists():
        keras_tuner_internals.forget_ended(state)
    tuner = TUNERS[name](
        hypermodel,
        **options[name],
        # Without them, a worker may be given a trial without values.
        hyperparameters=hypermodel.space(),
        seed=seed + 1,  # 0 would be a random one
        # Trials that fail in a row would stop the search.
        max_consecutive_failed_trials=float("inf"),
        directory=str(directory),
        project_name=PROJECT,
    )
    if chooses and state.exists() and not tuner.oracle.trials:
        tuner.oracle.reload()  # it was another process's, under another name
    return tuner


@contextlib.contextmanager
def open_directory(directory, description, workers=1):
    """Makes a search's directory, or checks that it is of the same search.

    A context manager: no other search goes on there until it ends.

    Args:
        directory: Path.
        description: Dict that JSON can hold: what the search is.
        workers: Int. More than one are a chief's, a process of its own.
    """
    directory = pathlib.Path(directory)
    description = json.loads(json.dumps(description))
    _check_directory(directory, description)
    # Who starts a chief holds one lock, and the chief the other.
    names = {"chief": ["chief"], "alone": ["", "chief"]}
    if workers > 1:
        names["alone"] = [""]
    with contextlib.ExitStack() as held:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            for name in names[role()]:
                held.enter_context(Lock(directory, name=name))
            _check_directory(directory, description)
            if not (directory / CONFIG).exists():
                _write(directory / CONFIG, description)
        except OSError as error:
            raise SearchError(
                f"Directory {directory} cannot be written: {error.strerror}. "
                "Allow it, make room, or take another directory."
            ) from error
        yield


def stored_run(directory):
    """What a trial of the search in a directory is, or `None` if none is."""
    try:
        text = pathlib.Path(directory, CONFIG).read_text("utf-8")
        return json.loads(text).get("run")
    except (OSError, ValueError, AttributeError):
        return None  # what is wrong with it is for `open_directory` to say


def _check_directory(directory, description):
    path = directory / CONFIG
    if not path.exists():
        for name in (PROJECT, OPTIMIZER, BEST):
            if (directory / name).exists():
                raise SearchError(
                    f"{directory / name} is in the way of a new search: there "
                    f"is no {path} that says whose it is. Take another "
                    "directory, or move it away."
                )
        return
    try:
        stored = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SearchError(
            f"{path} does not say which search {directory} holds: {error}. "
            "Put the file back, or take another directory."
        ) from error
    if stored != description:
        raise SearchError(
            f"Directory {directory} holds another search; {path} says "
            "which. Take another directory, or the options of this one."
        )


def read_trials(directory):
    """List of the `Trial`s of the search in a directory, in their order."""
    paths = keras_tuner_internals.trial_files(pathlib.Path(directory, PROJECT))
    return [_trial(keras_tuner_internals.load_trial(path)) for path in paths]


def count_ended(directory):
    """How many trials have ended; other processes may be writing them."""
    paths = keras_tuner_internals.trial_files(pathlib.Path(directory, PROJECT))
    return sum(keras_tuner_internals.status(path) in ENDED for path in paths)


def best_trial(trials):
    """The completed `Trial` with the least objective.

    Raises:
        SearchError: No trial is completed.
    """
    done = [trial for trial in trials if trial.status == "COMPLETED"]
    if not done:
        message = trials[-1].message if trials else ""
        raise SearchError(
            "No trial has come to its end. The last one failed: "
            f"{message or 'the logs of the workers say how'!s:.300}"
        )
    return min(done, key=lambda trial: trial.figures["default_objective"])


def write_best(directory, trial):
    """Writes `best.json`, and the trial's best student to `optimizer`."""
    folder = pathlib.Path(directory, PROJECT, f"trial_{trial.name}", OPTIMIZER)
    output = pathlib.Path(directory, OPTIMIZER)
    hub.folder.copy(folder, output, overwrite=True)
    _write(
        pathlib.Path(directory, BEST),
        {
            "trial": trial.name,
            "perturbation": trial.perturbation,
            "figures": trial.figures,
        },
    )


def _trial(stored):
    values = stored.hyperparameters.values
    kind, chosen = values[space.KIND], None
    if kind != space.NONE:
        config = {
            key: values[f"{kind}_{key}"]
            for key in ("magnitude", "steps")
            if f"{kind}_{key}" in values
        }
        chosen = {"name": kind, "config": config}
    metrics = stored.metrics.metrics
    figures = {name: stored.metrics.get_best_value(name) for name in metrics}
    return Trial(
        stored.trial_id,
        stored.status,
        chosen,
        {key: value for key, value in figures.items() if math.isfinite(value)},
        (stored.message or "").strip().rpartition("\n")[2],
    )


def _write(path, contents):
    whole.write(path, (json.dumps(contents, indent=2) + "\n").encode())
