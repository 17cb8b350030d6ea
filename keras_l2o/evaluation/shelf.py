"""The runs of one optimizer on one problem, stored one by one."""

import functools

from keras_l2o.evaluation import at_once
from keras_l2o.evaluation import storage

#: Settings that tell one evaluation from another; the rest is for the record.
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
    """Where the runs of one optimizer go.

    Args:
        optimizer: A `Contender`.
        directory: Path, or `None` to store nothing.
        settings: Dict of what was asked for, the optimizer aside.
        overwrite: Bool. Whether a stored evaluation with other settings is
            replaced.
        held: `contextlib.ExitStack`. What is stored is this process's until
            it is closed.
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
        """What optimizers that run side by side have in common."""
        return at_once.rule(self.contender.make())

    def put(self, run, seed):
        """Stores a `TrainingRun`.

        Args:
            run: The `TrainingRun`.
            seed: Int, its seed.
        """
        arrays = run._asdict()
        self.evaluation = self.evaluation.with_run(
            {**arrays.pop("trace"), **arrays, "seeds": seed}
        )
        if self.path:
            self.evaluation.write(self.path)


def _resumed(path, settings, overwrite):
    """The stored evaluation, if it is of these settings."""
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
