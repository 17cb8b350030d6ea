import keras
from keras import ops

from keras_l2o.perturbations.adversarial import Adversarial


@keras.saving.register_keras_serializable(package="keras_l2o")
class FGSM(Adversarial):
    """Moves every weight by one signed-gradient step up the outer loss.

    Args:
        magnitude: Float. Length of the step. Defaults to `1e-3`.
        step_size: Float. Another name of `magnitude`.

    Reference:
        - [Goodfellow et al., 2015](https://arxiv.org/abs/1412.6572)
    """

    def __init__(self, magnitude=1e-3, *, step_size=None):
        super().__init__(magnitude if step_size is None else step_size, 1)

    def ascend(self, move, gradient, weight, magnitude):
        return move + magnitude * ops.sign(gradient)

    def get_config(self):
        config = super().get_config()
        del config["steps"]
        return config
