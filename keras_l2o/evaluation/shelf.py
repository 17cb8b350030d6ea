"""Storage for the runs of one optimizer on one problem."""

import functools

from keras_l2o.evaluation import at_once
from keras_l2o.evaluation import storage

#: Settings in which two evaluations must agree for one to continue the other.
#: Other settings, such as versions, are stored for information only.
IDENTITY = (
    "problem",
    "optimizer_digest",
    "dataset",
    "data_digest",
    "examples",
    "batch_size",
    "steps",
    "epoch_steps",
    "seed",
    "trace",
    "privacy",
)


class Shelf:
    """Collects the runs of one optimizer and stores each when it has ended.

    If the directory already has an evaluation with the same settings, its runs
    are read, and new ones are added to them.

    Args:
        optimizer: A `Contender`.
        directory: Path of the directory in which the runs are stored, or `None`
            to store nothing.
        settings: Dict of the evaluation's settings, except for those of the
            optimizer.
        overwrite: Bool. Whether a stored evaluation with other settings is
            replaced.
        held: `contextlib.ExitStack`. The stored evaluation is locked against
            other processes until this is closed.

    Attributes:
        contender: The `Contender`.
        evaluation: `storage.Evaluation` of all runs so far.
        path: Path of the stored evaluation, or `None`.

    Raises:
        ValueError: The directory has an evaluation with other settings, and
            `overwrite` is not set.
    """

    def __init__(self, optimizer, directory, settings, overwrite, held):
        self.contender = optimizer
        settings = {
            **settings,
            "optimizer": optimizer.name,
            "optimizer_digest": optimizer.digest(),
            "rule": optimizer.rule,
            "rate": optimizer.rate,
        }
        self.path = directory and storage.path_in(
            directory, settings["problem"]
        )
        self.evaluation = storage.Evaluation(settings, {})
        if self.path:
            held.enter_context(storage.hold(self.path))
        if self.path and self.path.exists():
            stored = _resumed(self.path, settings, overwrite)
            self.evaluation = stored or self.evaluation

    @functools.cached_property
    def rule(self):
        """Dict, equal for optimizers that can train in one program.

        See `at_once.rule`.
        """
        return at_once.rule(self.contender.make())

    def missing(self, protocol):
        """List of the numbers of a protocol's runs that are not there."""
        seeds = set(map(int, self.evaluation.arrays.get("seeds", ())))
        return [
            number
            for number in range(protocol.repeat)
            if protocol.seed + number not in seeds
        ]

    def put(self, run, seed):
        """Adds a run, and stores it.

        Args:
            run: `TrainingRun`.
            seed: Int, the run's seed.
        """
        arrays = run._asdict()
        self.evaluation = self.evaluation.with_run(
            {**arrays.pop("trace"), **arrays, "seeds": seed}
        ).in_order()
        if self.path:
            self.evaluation.write(self.path)


def _resumed(path, settings, overwrite):
    """The stored evaluation; `None` if it is to be overwritten."""
    stored = storage.read(path)
    differing = [
        key for key in IDENTITY if stored.settings.get(key) != settings[key]
    ]
    if not differing:
        known = {
            key: settings[key]
            for key in ("rule", "rate")
            if settings[key] is not None
        }
        return stored._replace(settings={**stored.settings, **known})
    if overwrite:
        return None
    raise ValueError(
        f"{path} holds an evaluation with other settings: "
        + ", ".join(
            f"{key} is {stored.settings.get(key)!s:.40} there and "
            f"{settings[key]!s:.40} now"
            for key in differing
        )
        + ". Choose another directory, or overwrite it with `overwrite=True`."
    )
