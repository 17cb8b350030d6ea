"""Gradient ascent by steps that are clipped to a share of the weight's norm."""

import keras

from keras_l2o import numerics
from keras_l2o.perturbations.adversarial import Adversarial
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_l2o")
class CGD(Adversarial):
    """Moves weights up the outer loss by steps bounded by each tensor's norm.

    The paper calls this adaptive PGD, or clipped gradient ascent: a step is
    the gradient, clipped to `magnitude` times the norm of the weight. So a
    weight that is zero is not moved.

    Args:
        magnitude: Float. The largest norm of a step, as a share of the norm of
            the weight. Defaults to `1e-3`.
        steps: Int. Number of ascent steps. Defaults to `1`.
        scale: Bool. If `True`, a gradient shorter than the bound is scaled up
            to it, as in the paper. Defaults to `False`.

    Example:

    >>> attack = keras_l2o.perturbations.CGD(magnitude=1e-3, steps=2)
    >>> history = trainer.fit(
    ...     callbacks=[attack], epochs=1, steps_per_epoch=1, verbose=0)

    Reference:
        - [Huang et al., 2022](https://arxiv.org/abs/2203.06474), section 3.4.
    """

    def __init__(
        self, magnitude: float = 1e-3, steps: int = 1, scale: bool = False
    ) -> None:
        super().__init__(magnitude, steps)
        self.scale = bool(scale)

    def ascend(
        self, move: Tensor, gradient: Tensor, weight: Tensor, magnitude: Tensor
    ) -> Tensor:
        bound = magnitude * numerics.norm(weight)
        if self.scale:
            return move + numerics.of_norm(gradient, bound)
        return move + numerics.within_norm(gradient, bound)

    def get_config(self) -> Config:
        return {**super().get_config(), "scale": self.scale}
