"""One step along the sign of the gradient."""

import keras
from keras import ops

from keras_l2o.perturbations.adversarial import Adversarial
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_l2o")
class FGSM(Adversarial):
    """Moves every weight by one signed-gradient step up the outer loss.

    Args:
        magnitude: Float. How far each coordinate is moved. Defaults to `1e-3`.
        step_size: Float. Another name for `magnitude`, which it replaces if
            given. Defaults to `None`.

    Example:

    >>> attack = keras_l2o.perturbations.FGSM(magnitude=1e-3)
    >>> history = trainer.fit(
    ...     callbacks=[attack], epochs=1, steps_per_epoch=1, verbose=0)

    Reference:
        - [Goodfellow et al., 2015](https://arxiv.org/abs/1412.6572)
    """

    def __init__(
        self, magnitude: float = 1e-3, *, step_size: float | None = None
    ) -> None:
        super().__init__(magnitude if step_size is None else step_size, 1)

    def ascend(
        self, move: Tensor, gradient: Tensor, weight: Tensor, magnitude: Tensor
    ) -> Tensor:
        return move + magnitude * ops.sign(gradient)

    def get_config(self) -> Config:
        config = super().get_config()
        del config["steps"]
        return config
