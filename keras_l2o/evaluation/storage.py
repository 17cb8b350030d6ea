"""Evaluations on disk: one `.npz` file each, written whole."""

import contextlib
import io
import json
import pathlib
import zipfile
from typing import NamedTuple

import numpy as np

from keras_l2o.evaluation import rules
from keras_l2o.files import whole
from keras_l2o.files.lock import Lock

#: Arrays with a first axis for the runs; the others are one for all.
BY_RUN = (
    "losses",
    "validation_loss",
    "validation_accuracy",
    "seconds",
    "diverged",
    "seeds",
    "trace_updates",
    "trace_weights",
)


_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


class Evaluation(NamedTuple):
    """The runs of one optimizer on one problem.

    Attributes:
        settings: Dict that JSON can hold: what was asked for, and versions.
        arrays: Dict of arrays: `losses` `(runs, steps)`, of each batch;
            `validation_loss`, `validation_accuracy` and `seconds`
            `(runs, epochs)`; `seeds` and `diverged` `(runs,)`, the latter the
            first step whose loss is not finite, or -1; and what a trace left,
            see `Trace`. What comes after a divergence is NaN.
    """

    settings: dict
    arrays: dict

    @property
    def runs(self):
        """How many runs are finished."""
        return len(self.arrays.get("seeds", ()))

    def with_run(self, arrays):
        """The evaluation with one more run.

        Args:
            arrays: Dict of the run's arrays, without the axis of the runs.
        """
        joined = dict(self.arrays)
        for key, value in arrays.items():
            value = np.asarray(value)
            if key not in BY_RUN:
                joined[key] = value
            elif key in joined:
                joined[key] = np.concatenate([joined[key], value[None]])
            else:
                joined[key] = value[None]
        return self._replace(arrays=joined)

    def first(self, runs):
        """The evaluation with only its first runs."""
        return self._replace(
            arrays={
                key: value[:runs] if key in BY_RUN else value
                for key, value in self.arrays.items()
            }
        )

    def frame(self):
        """A `pandas.DataFrame` with a row for each run and epoch.

        Columns: problem, optimizer, of an analytic rule also rule and rate,
        run, seed, epoch (from 1), step (the steps made), train_loss (the
        mean over the epoch's batches), validation_loss, validation_accuracy
        and seconds (of the epoch's training, compilation included).
        """
        import pandas

        steps, per_epoch = (
            self.settings[key] for key in ("steps", "epoch_steps")
        )
        names = ("problem", "optimizer", "rule", "rate")
        what = {
            key: self.settings[key]
            for key in names
            if self.settings.get(key) is not None
        }
        rows = []
        for run in range(self.runs):
            for epoch in range(-(-steps // per_epoch)):
                end = min((epoch + 1) * per_epoch, steps)
                losses = self.arrays["losses"][run, epoch * per_epoch : end]
                rows.append(
                    {
                        **what,
                        "run": run,
                        "seed": int(self.arrays["seeds"][run]),
                        "epoch": epoch + 1,
                        "step": end,
                        "train_loss": float(np.mean(losses, dtype="float64")),
                        **{
                            key: float(self.arrays[key][run, epoch])
                            for key in (
                                "validation_loss",
                                "validation_accuracy",
                                "seconds",
                            )
                        },
                    }
                )
        return pandas.DataFrame(rows)

    def write(self, path):
        """Writes the evaluation; the file is there whole or as it was."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer, settings=json.dumps(self.settings), **self.arrays
        )
        replace_file(path, buffer.getvalue())


replace_file = whole.write


def hold(path):
    """Keeps other processes from writing an evaluation, while it goes on.

    Args:
        path: Path of a `.npz` file, to be or there.

    Returns:
        A context manager, already in force.
    """
    folder = pathlib.Path(path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = Lock(folder, path, path.name)
        whole.sweep(folder, whole.exactly(path.name))
    except OSError:  # nobody writes here, and a finished one is only read
        return contextlib.nullcontext()
    return lock


def read(path):
    """Reads an evaluation that `evaluate` stored.

    Args:
        path: Path of a `.npz` file.

    Returns:
        An `Evaluation`.
    """
    try:
        with open(path, "rb") as stream:
            file = np.load(stream, allow_pickle=False)
            arrays = {key: file[key] for key in file.files}
        settings = json.loads(str(arrays.pop("settings")))
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        raise ValueError(f"{path} is no stored evaluation: {error}") from error
    if "rule" not in settings:  # stored when the name alone told it
        rule, rate = rules.named(settings["optimizer"])
        settings = {**settings, "rule": rule, "rate": rate}
    return Evaluation(settings, arrays)


def path_in(directory, problem):
    """Where the evaluation on a problem lies in a run directory."""
    return pathlib.Path(directory) / "evaluations" / f"{problem}.npz"
