import keras

from keras_l2o import numerics
from keras_l2o.perturbations.adversarial import Adversarial


@keras.saving.register_keras_serializable(package="keras_l2o")
class CGD(Adversarial):
    """Climbs the outer loss by steps in proportion to each tensor's norm.

    Adaptive PGD, or 'clipped' gradient ascent: a step is the gradient, clipped
    to `magnitude` times the norm of the weight. A weight that is zero stays.

    Args:
        magnitude: Float. Bound of a step's norm over the weight's. Defaults
            to `1e-3`.
        steps: Int. Ascent steps. Defaults to `1`.
        scale: Bool. Whether a step is scaled to the bound, as in the paper,
            also when the gradient is shorter. Defaults to `False`.

    Reference:
        - [Huang et al., 2022](https://arxiv.org/abs/2203.06474), section 3.4.
    """

    def __init__(self, magnitude=1e-3, steps=1, scale=False):
        super().__init__(magnitude, steps)
        self.scale = bool(scale)

    def ascend(self, move, gradient, weight, magnitude):
        bound = magnitude * numerics.norm(weight)
        if self.scale:
            return move + numerics.of_norm(gradient, bound)
        return move + numerics.within_norm(gradient, bound)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}
