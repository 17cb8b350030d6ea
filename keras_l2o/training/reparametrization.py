from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_l2o.problems import Problem
from keras_l2o.training import checks


class Reparametrization:
    """In which units the student sees the coordinates of an episode.

    With a scale `c`, the student trains `f(c * x)` as a function of `x`. The
    same model then has parameters of other sizes, and needs other rates. Each
    episode draws whether its coordinates are left as they are, or have one
    scale for all, one for each tensor, or one each. A scale is `exp(u)`, with
    `u` uniform between minus and plus a spread.

    Args:
        whole: Float. The spread of a scale for all coordinates. Defaults to
            `1.5`.
        tensor: Float. The spread of scales by tensor. Defaults to `1.0`.
        coordinate: Float. The spread of scales by coordinate. Defaults to
            `0.5`.
        weights: Four numbers: how likely an episode has no scale, one for all,
            one a tensor, one a coordinate. Defaults to `(2, 2, 2, 1)`.

    Raises:
        ValueError: A spread or a weight is negative, or all weights are zero.

    Example:

    >>> trainer = keras_l2o.MetaTrainer(
    ...     problems="quadratic_10",
    ...     parameter_scale_spread=keras_l2o.training.Reparametrization())

    Reference:
        - [Metz et al., 2022](https://arxiv.org/abs/2211.09760)
    """

    def __init__(
        self,
        whole: float = 1.5,
        tensor: float = 1.0,
        coordinate: float = 0.5,
        weights: Sequence[float] = (2, 2, 2, 1),
    ) -> None:
        self.whole = checks.number("whole", whole)
        self.tensor = checks.number("tensor", tensor)
        self.coordinate = checks.number("coordinate", coordinate)
        self.weights = [checks.number("weights", w) for w in weights]
        if len(self.weights) != 4 or not sum(self.weights):
            raise ValueError(
                "Argument `weights` must be four numbers, not all zero. "
                f"Received: weights={weights!r}"
            )

    def exponents(
        self, rng: np.random.Generator, problem: Problem
    ) -> np.ndarray:
        """Draws the logarithms of an episode's scales.

        Args:
            rng: `numpy.random.Generator`.
            problem: `Problem`.

        Returns:
            Array `(problem.size,)`.
        """
        sizes = [int(np.prod(shape)) for shape in problem.trainable_shapes]
        kind = rng.choice(4, p=np.array(self.weights) / sum(self.weights))
        if kind == 0:
            return np.zeros(problem.size)
        if kind == 1:
            scale = rng.uniform(-self.whole, self.whole)
            return np.full(problem.size, scale)
        if kind == 2:
            scales = rng.uniform(-self.tensor, self.tensor, len(sizes))
            return np.repeat(scales, sizes)
        return rng.uniform(-self.coordinate, self.coordinate, problem.size)

    def __bool__(self):
        return any(
            weight and spread
            for weight, spread in zip(
                self.weights[1:], (self.whole, self.tensor, self.coordinate)
            )
        )


class Spread(Reparametrization):
    """A scale for each coordinate in every episode.

    Args:
        spread: Float.
    """

    def __init__(self, spread: float) -> None:
        super().__init__(0.0, 0.0, spread, (0, 0, 0, 1))

    def exponents(
        self, rng: np.random.Generator, problem: Problem
    ) -> np.ndarray:
        # No draw of the kind: what was drawn before there were several.
        return rng.uniform(-self.coordinate, self.coordinate, problem.size)


def reparametrization(value: Any) -> Reparametrization:
    """What the argument `parameter_scale_spread` stands for.

    Args:
        value: A `Reparametrization`, a dict of its arguments, or a float, the
            spread of scales by coordinate.
    """
    if isinstance(value, Reparametrization):
        return value
    if isinstance(value, Mapping):
        return Reparametrization(**value)
    return Spread(checks.number("parameter_scale_spread", value))
