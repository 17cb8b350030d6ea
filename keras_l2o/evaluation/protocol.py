"""How an optimizer is tried on a problem: on what data, how long, how often."""

import dataclasses
from typing import Any

from keras_l2o import problems
from keras_l2o.problems import catalogue


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How an optimizer is tried on a problem.

    Args:
        repeat: Int. Number of runs; run `i` has seed `seed + i`. Defaults to
            `10`.
        epochs: Int. Length of a run. Defaults to `None`: `25` for classifiers.
        steps: Int. Length of a run, instead of `epochs`. Defaults to `None`:
            `1000` for functions, a tenth of which counts as an epoch.
        epoch_steps: Int. Steps after which a run is validated, instead of
            those of an epoch. Defaults to `None`, an epoch's.
        examples: Int. Train on the first so many examples only. Defaults to
            `None`, all.
        batch_size: Int. Examples in a batch. Defaults to `None`, the
            problem's.
        dataset: String, the name of another data set. Defaults to `None`, the
            problem's.
        seed: Int. Seed of the first run. Defaults to `0`.
        trace: Int. Number of steps between two records of what the optimizer
            does: the root mean square of its update by layer, and the weights
            of a pool. Defaults to `None`, no records.

    Raises:
        ValueError: A number is less than 1, or both `epochs` and `steps` are
            given.

    Example:

    >>> protocol = keras_l2o.evaluation.Protocol(repeat=3, steps=100)
    >>> problem = protocol.prepared("quadratic_10")
    >>> protocol.length(problem)
    (100, 10)
    """

    repeat: int = 10
    epochs: int | None = None
    steps: int | None = None
    examples: int | None = None
    batch_size: int | None = None
    dataset: str | None = None
    seed: int = 0
    trace: int | None = None
    epoch_steps: int | None = None

    def __post_init__(self):
        for name in ("repeat", "epochs", "steps", "epoch_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(
                    f"Argument `{name}` must be at least 1. Received: "
                    f"{name}={value}"
                )
        if self.epochs is not None and self.steps is not None:
            raise ValueError(
                "Give one of the arguments `epochs` and `steps`. Received: "
                f"epochs={self.epochs}, steps={self.steps}"
            )

    def prepared(self, problem: str | problems.Problem) -> problems.Problem:
        """Makes the problem of a name, with this protocol's data.

        Args:
            problem: Name of a problem, or a `Problem`, which is returned as
                it is.

        Returns:
            A `Problem`.

        Raises:
            ValueError: There is no such problem; or a `Problem` is given
                although the protocol names a data set, a batch size or a
                number of examples.
        """
        if isinstance(problem, str):
            return problems.get(
                problem, self.dataset, self.batch_size, self.examples
            )
        if (self.dataset, self.batch_size, self.examples) != (None,) * 3:
            raise ValueError(
                "Arguments `dataset`, `batch_size` and `examples` go with the "
                "name of a problem: a `Problem` has them already."
            )
        return problem

    def length(self, problem: problems.Problem) -> tuple[int, int]:
        """How long a run is, and how long an epoch.

        Args:
            problem: `Problem`, what `prepared` returned.

        Returns:
            Two ints, the steps of a run and those of an epoch.

        Raises:
            ValueError: The protocol has `epochs`, and the problem none.
        """
        steps, per_epoch = self._length(problem)
        return steps, self.epoch_steps or per_epoch

    def _length(self, problem):
        entry = catalogue.CATALOGUE.get(problem.name)
        if hasattr(problem, "examples"):
            per_epoch = problem.epoch_steps
            if self.steps is not None:
                return self.steps, per_epoch
            default = int(catalogue.Entry._field_defaults["epochs"])
            epochs: Any = self.epochs or getattr(entry, "epochs", default)
            return per_epoch * epochs, per_epoch
        if self.epochs is not None:
            raise ValueError(
                f"Problem {problem.name!r} has no epochs: give the argument "
                f"`steps`. Received: epochs={self.epochs}"
            )
        default = int(catalogue.FunctionEntry._field_defaults["steps"])
        steps: Any = self.steps or getattr(entry, "steps", default)
        return steps, max(1, steps // 10)
