"""What is taken from inside keras-tuner: its callbacks, its trials' files.

Its environment variables are public: `crew.py` sets them.
"""

import json
import pathlib
from collections.abc import Iterable
from typing import Any

import keras

from keras_l2o.files import whole
from keras_l2o.private_names import missing
from keras_l2o.private_names import take
from keras_l2o.private_names import take_module

_utils = take_module("keras-tuner", "keras_tuner.src.engine.tuner_utils")
_TunerCallback = take("keras-tuner", _utils, "TunerCallback")
_SaveBestEpoch = take("keras-tuner", _utils, "SaveBestEpoch")
_Trial = take(
    "keras-tuner",
    take_module("keras-tuner", "keras_tuner.engine.trial"),
    "Trial",
)

#: What a search space's choices are; `space.Choice` draws in another way.
Choice = take(
    "keras-tuner",
    take_module("keras-tuner", "keras_tuner.engine.hyperparameters"),
    "Choice",
)

#: The state of whoever chooses trials: the oracle's, and by the tuner's name.
STATE = "oracle.json"
_STATES = (STATE, "tuner0.json", "chief.json")

_TRIALS = "trial_*/trial.json"


def running(callbacks: Iterable[keras.callbacks.Callback]) -> Any:
    """keras-tuner's callback that knows a fit's `tuner` and `trial`, or none.

    Args:
        callbacks: What a tuner hands over to `HyperModel.fit`.
    """
    return _first(callbacks, _TunerCallback)


def checkpoint(callbacks: Iterable[keras.callbacks.Callback]) -> Any:
    """keras-tuner's callback that saves a trial's model, or none."""
    return _first(callbacks, _SaveBestEpoch)


def save(checkpoint: keras.callbacks.Callback, model: keras.Model) -> None:
    """Saves a model as a trial's best, by what `checkpoint` found."""
    checkpoint.set_model(model)
    checkpoint.on_epoch_end(0, {})  # saves where it knows no loss


def is_of_trial(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback belongs to a trial and not to each of its students."""
    package = type(callback).__module__.partition(".")[0]
    return package in ("keras_tuner", "tensorboard")


def trial_files(project: pathlib.Path) -> list[pathlib.Path]:
    """The file of each trial of a project, in the order of their numbers."""
    return sorted(project.glob(_TRIALS), key=lambda path: _number(path.parent))


def _number(folder):
    return int(folder.name.removeprefix("trial_"))


def load_trial(path: pathlib.Path) -> Any:
    """The `keras_tuner.engine.trial.Trial` in a file."""
    return _Trial.load(str(path))


def status(path: pathlib.Path) -> str | None:
    """A trial's status, such as `"COMPLETED"`; `None` if it is half written."""
    try:
        stored = json.loads(path.read_text("utf-8"))
    except ValueError:
        return None
    return _entry(stored, "status", path)


def forget_all(project: pathlib.Path) -> None:
    """Removes the state of whoever chooses, but nothing else.

    keras-tuner's `overwrite` would delete all that is in the folder.
    """
    for name in _STATES:
        (project / name).unlink(missing_ok=True)


def forget_ended(state: pathlib.Path) -> None:
    """Takes trials that have ended out of the running ones, in a state's file.

    keras-tuner stores the end of a trial before it forgets that it runs, and
    would run the last one again.
    """
    stored = json.loads(state.read_text("utf-8"))
    ended = _entry(stored, "end_order", state)
    stored["ongoing_trials"] = {
        worker: trial
        for worker, trial in _entry(stored, "ongoing_trials", state).items()
        if trial not in ended
    }
    whole.write(state, (json.dumps(stored, indent=2) + "\n").encode())


def _entry(stored, name, path):
    try:
        return stored[name]
    except KeyError:
        raise missing("keras-tuner", f"{name} in {path.name}") from None


def _first(callbacks, kind):
    return next((c for c in callbacks if isinstance(c, kind)), None)
