"""Gradient ascent within a ball around the weights."""

import math

import keras
from keras import ops

from keras_l2o import numerics
from keras_l2o.perturbations.adversarial import Adversarial
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor

#: What the ball of `PGD` may bound.
NORMS = ("inf", "l2", "scaled")


@keras.saving.register_keras_serializable(package="keras_l2o")
class PGD(Adversarial):
    """Moves weights up the outer loss, within a ball around the old ones.

    Args:
        magnitude: Float. Radius of the ball. Defaults to `1e-4`.
        steps: Int. Number of ascent steps, each followed by a projection onto
            the ball. Defaults to `1`.
        learning_rate: Float. Multiplies the gradient. Defaults to `0.1`.
        norm: String. What the ball bounds: every coordinate (`"inf"`), the
            norm of each tensor (`"l2"`), or the root mean square of each
            tensor (`"scaled"`). Defaults to `"inf"`.

    Example:

    >>> attack = keras_l2o.perturbations.PGD(magnitude=1e-4, norm="l2")
    >>> history = trainer.fit(
    ...     callbacks=[attack], epochs=1, steps_per_epoch=1, verbose=0)

    Reference:
        - [Madry et al., 2018](https://arxiv.org/abs/1706.06083)
    """

    def __init__(
        self,
        magnitude: float = 1e-4,
        steps: int = 1,
        learning_rate: float = 0.1,
        norm: str = "inf",
    ) -> None:
        super().__init__(magnitude, steps)
        if norm not in NORMS:
            raise ValueError(
                f"Argument `norm` must be one of {list(NORMS)}. "
                f"Received: norm={norm!r}"
            )
        self.learning_rate = float(learning_rate)
        self.norm = norm

    def ascend(
        self, move: Tensor, gradient: Tensor, weight: Tensor, magnitude: Tensor
    ) -> Tensor:
        move = move + self.learning_rate * gradient
        if self.norm == "inf":
            return ops.clip(move, -magnitude, magnitude)
        if self.norm == "scaled":
            magnitude = magnitude * math.sqrt(math.prod(weight.shape))
        return numerics.within_norm(move, magnitude)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "norm": self.norm,
        }
