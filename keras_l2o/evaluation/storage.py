"""Evaluations on disk: one `.npz` file each, written whole."""

import contextlib
import io
import json
import pathlib
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_l2o.evaluation import rules
from keras_l2o.files import whole
from keras_l2o.files.lock import Lock
from keras_l2o.typing import Path
from keras_l2o.typing import Tensor

if TYPE_CHECKING:
    import pandas

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
        settings: Dict that JSON can hold: the optimizer, the problem and the
            protocol, and the versions of the packages.
        arrays: Dict of arrays: `losses` `(runs, steps)`, of each batch;
            `validation_loss`, `validation_accuracy` and `seconds`
            `(runs, epochs)`; `seeds` and `diverged` `(runs,)`, the latter the
            first step whose loss is not finite, or -1; and, if the evaluation
            was traced, arrays whose names begin with `trace_`. Values after a
            divergence are NaN.

    Example:

    >>> stored = keras_l2o.evaluation.read(
    ...     "held_out/min-max/1/evaluations/conv_fmnist.npz")
    >>> stored.runs
    3
    >>> stored.arrays["validation_loss"].shape  # runs, epochs
    (3, 5)
    """

    settings: dict[str, Any]
    arrays: dict[str, Any]

    @property
    def runs(self) -> int:
        """How many runs are finished."""
        return len(self.arrays.get("seeds", ()))

    def with_run(self, arrays: Mapping[str, Tensor]) -> "Evaluation":
        """The evaluation with one more run.

        Args:
            arrays: Dict of the run's arrays, without the axis of the runs.

        Returns:
            A new `Evaluation`.
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

    def in_order(self) -> "Evaluation":
        """The evaluation with its runs in the order of their seeds.

        Runs that are made by several processes end in any order.

        Returns:
            A new `Evaluation`.
        """
        order = np.argsort(self.arrays["seeds"], kind="stable")
        return self._replace(
            arrays={
                key: value[order] if key in BY_RUN else value
                for key, value in self.arrays.items()
            }
        )

    def first(self, runs: int) -> "Evaluation":
        """The evaluation with only its first runs.

        Args:
            runs: Int, how many.

        Returns:
            A new `Evaluation`.
        """
        return self._replace(
            arrays={
                key: value[:runs] if key in BY_RUN else value
                for key, value in self.arrays.items()
            }
        )

    def frame(self) -> "pandas.DataFrame":
        """The evaluation as a table.

        Returns:
            A `pandas.DataFrame` with a row for each run and epoch, and columns
            problem, optimizer, for an analytic rule also rule and rate, run,
            seed, epoch (from 1), step (the steps made), train_loss (the mean
            over the epoch's batches), validation_loss, validation_accuracy
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
        seeds = [int(seed) for seed in self.arrays.get("seeds", ())]
        for run, seed in enumerate(seeds):
            for epoch in range(-(-steps // per_epoch)):
                end = min((epoch + 1) * per_epoch, steps)
                losses = self.arrays["losses"][run, epoch * per_epoch : end]
                rows.append(
                    {
                        **what,
                        # Not its place: one before it may be missing yet.
                        "run": seed - self.settings.get("seed", seeds[0]),
                        "seed": seed,
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

    def write(self, path: Path) -> None:
        """Writes the evaluation to a file, which a crash never leaves in part.

        Args:
            path: Path of the `.npz` file.
        """
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer, settings=json.dumps(self.settings), **self.arrays
        )
        replace_file(path, buffer.getvalue())


replace_file = whole.write


def hold(path: pathlib.Path) -> AbstractContextManager[Any]:
    """Keeps other processes from writing an evaluation at the same time.

    Args:
        path: `pathlib.Path` of the `.npz` file, which need not be there yet.

    Returns:
        A context manager. The lock is held from the call on, until the context
        is left.

    Raises:
        Locked: Another process holds the lock.

    Example:

    >>> storage = keras_l2o.evaluation.storage
    >>> with storage.hold(storage.path_in("results/mine", "mlp_train")):
    ...     pass  # evaluate, and write
    """
    folder = pathlib.Path(path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = Lock(folder, path, path.name)
        whole.sweep(folder, whole.exactly(path.name))
    except OSError:  # nobody writes here, and a finished one is only read
        return contextlib.nullcontext()
    return lock


def read(path: Path) -> Evaluation:
    """Reads an evaluation that `evaluate` stored.

    Args:
        path: Path of a `.npz` file.

    Returns:
        An `Evaluation`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no stored evaluation, or is damaged.

    Example:

    >>> stored = keras_l2o.evaluation.read(
    ...     "held_out/min-max/1/evaluations/conv_fmnist.npz")
    >>> frame = stored.frame()
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


def path_in(directory: Path, problem: str) -> pathlib.Path:
    """Where the evaluation on a problem lies in a directory.

    Args:
        directory: Path, what `evaluate` was given.
        problem: String, the problem's name.

    Returns:
        A `pathlib.Path`.

    Example:

    >>> path = keras_l2o.evaluation.storage.path_in(
    ...     "held_out/min-max/1", "conv_fmnist")
    >>> path.as_posix()
    'held_out/min-max/1/evaluations/conv_fmnist.npz'
    """
    return pathlib.Path(directory) / "evaluations" / f"{problem}.npz"
