"""How an optimizer is tried on a problem: on what data, how long, how often."""

import dataclasses

from keras_l2o import problems
from keras_l2o.problems import catalogue


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How an optimizer is tried on a problem.

    Args:
        repeat: Int. Number of runs; run `i` has seed `seed + i`. Defaults to
            `10`.
        epochs: Int. Defaults to `25` for classifiers.
        steps: Int, instead of `epochs`. Defaults to `1000` for functions. For
            data without epochs, a tenth of the steps is one.
        examples: Int. Train on the first of the examples only. Defaults to
            all.
        batch_size: Int. Defaults to the problem's.
        dataset: Name of another data set. Defaults to the problem's.
        seed: Int. Defaults to `0`.
        trace: Int. Look every so many steps at what the optimizer does: the
            root mean square of its update by layer, and the weights of a
            pool. Wants a directory. Defaults to no trace.
    """

    repeat: int = 10
    epochs: int | None = None
    steps: int | None = None
    examples: int | None = None
    batch_size: int | None = None
    dataset: str | None = None
    seed: int = 0
    trace: int | None = None

    def __post_init__(self):
        for name in ("repeat", "epochs", "steps"):
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

    def prepared(self, problem):
        """The problem of a name, or a `Problem` as it is."""
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

    def length(self, problem):
        """Steps of a run and of an epoch.

        Args:
            problem: What `prepared` returned.
        """
        entry = catalogue.CATALOGUE.get(problem.name)
        if hasattr(problem, "examples"):
            per_epoch = problem.examples // problem.batch_size
            if self.steps is not None:
                return self.steps, per_epoch
            default = catalogue.Entry._field_defaults["epochs"]
            epochs = self.epochs or getattr(entry, "epochs", default)
            return per_epoch * epochs, per_epoch
        if self.epochs is not None:
            raise ValueError(
                f"Problem {problem.name!r} has no epochs: give the argument "
                f"`steps`. Received: epochs={self.epochs}"
            )
        default = catalogue.FunctionEntry._field_defaults["steps"]
        steps = self.steps or getattr(entry, "steps", default)
        return steps, max(1, steps // 10)
