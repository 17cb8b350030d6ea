import math

import keras
from keras import ops

from keras_l2o import numerics
from keras_l2o.perturbations.adversarial import Adversarial

NORMS = ("inf", "l2", "scaled")


@keras.saving.register_keras_serializable(package="keras_l2o")
class PGD(Adversarial):
    """Climbs the outer loss within a ball around the student's weights.

    Args:
        magnitude: Float. Radius of the ball. Defaults to `1e-4`.
        steps: Int. Ascent steps, each followed by a projection onto the ball.
            Defaults to `1`.
        learning_rate: Float. Multiplies the gradient. Defaults to `0.1`.
        norm: What the ball bounds. `"inf"`: every coordinate; `"l2"`: the
            norm of each tensor; `"scaled"`: the root mean square of each
            tensor. Defaults to `"inf"`.

    Reference:
        - [Madry et al., 2018](https://arxiv.org/abs/1706.06083)
    """

    def __init__(self, magnitude=1e-4, steps=1, learning_rate=0.1, norm="inf"):
        super().__init__(magnitude, steps)
        if norm not in NORMS:
            raise ValueError(
                f"Argument `norm` must be one of {list(NORMS)}. "
                f"Received: norm={norm!r}"
            )
        self.learning_rate = float(learning_rate)
        self.norm = norm

    def ascend(self, move, gradient, weight, magnitude):
        move = move + self.learning_rate * gradient
        if self.norm == "inf":
            return ops.clip(move, -magnitude, magnitude)
        if self.norm == "scaled":
            magnitude = magnitude * math.sqrt(math.prod(weight.shape))
        return numerics.within_norm(move, magnitude)

    def get_config(self):
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "norm": self.norm,
        }
