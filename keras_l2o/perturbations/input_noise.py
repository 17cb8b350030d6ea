"""Normal noise on the gradients that the student reads."""

import keras
from keras import ops

from keras_l2o.perturbations.perturbation import Perturbation
from keras_l2o.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_l2o")
class InputNoise(Perturbation):
    """Adds normal noise to the gradients that the student reads.

    Every task, inner step and coordinate has noise of its own. The teachers'
    gradients and the losses are not changed.

    Args:
        magnitude: Float. Standard deviation of the noise. Defaults to `0.01`.
        seed: Int. Seed of the noise. Defaults to `None`, a random seed.
        stddev: Float. Another name for `magnitude`, which it replaces if
            given. Defaults to `None`.

    Example:

    >>> noise = keras_l2o.perturbations.InputNoise(0.01, seed=0)
    >>> history = trainer.fit(
    ...     callbacks=[noise], epochs=1, steps_per_epoch=1, verbose=0)
    """

    def __init__(
        self,
        magnitude: float = 0.01,
        seed: int | None = None,
        *,
        stddev: float | None = None,
    ) -> None:
        super().__init__(magnitude if stddev is None else stddev, seed)

    def gradient_noise(self, shape: tuple[int, ...], dtype: str) -> Tensor:
        noise = keras.random.normal(shape, dtype=dtype, seed=self.generator)
        return noise * ops.cast(self.magnitude, dtype)
