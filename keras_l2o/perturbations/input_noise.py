import keras
from keras import ops

from keras_l2o.perturbations.perturbation import Perturbation


@keras.saving.register_keras_serializable(package="keras_l2o")
class InputNoise(Perturbation):
    """Adds normal noise to the gradients that the student sees.

    It is drawn anew for every task, inner step and coordinate; the teachers'
    gradients and the losses stay as they are.

    Args:
        magnitude: Float. Standard deviation of the noise. Defaults to `0.01`.
        seed: Int, or `None` for a random one.
        stddev: Float. Another name of `magnitude`.
    """

    def __init__(self, magnitude=0.01, seed=None, *, stddev=None):
        super().__init__(magnitude if stddev is None else stddev, seed)

    def gradient_noise(self, shape, dtype):
        noise = keras.random.normal(shape, dtype=dtype, seed=self.generator)
        return noise * ops.cast(self.magnitude, dtype)
