import math

import keras
from keras import ops

from keras_l2o import numerics
from keras_l2o.perturbations.perturbation import Perturbation


@keras.saving.register_keras_serializable(package="keras_l2o")
class Gaussian(Perturbation):
    """Adds normal noise to the student's weights, anew at every inner step.

    Args:
        magnitude: Float. Standard deviation of the noise. Defaults to `1e-3`.
        seed: Int, or `None` for a random one.
        noise_stddev: Float. Another name of `magnitude`.

    Example:

    >>> noise = keras_l2o.perturbations.Gaussian(1e-3)
    >>> trainer.fit(callbacks=[noise])

    Reference:
        - [Huang et al., 2022](https://arxiv.org/abs/2203.06474), section 3.4.
    """

    def __init__(self, magnitude=1e-3, seed=None, *, noise_stddev=None):
        super().__init__(
            magnitude if noise_stddev is None else noise_stddev, seed
        )

    def offsets(self, weights, unroll):
        # Drawn before the loop: a generator's state does not survive a scan.
        return [
            self._normal((unroll, *weight.shape), weight.dtype)
            for weight in weights
        ]

    def _normal(self, shape, dtype):
        noise = keras.random.normal(shape, dtype=dtype, seed=self.generator)
        return noise * ops.cast(self.magnitude, dtype)


@keras.saving.register_keras_serializable(package="keras_l2o")
class RelativeGaussian(Gaussian):
    """Adds normal noise in proportion to each of the student's weights.

    Args:
        magnitude: Float. Standard deviation of the noise over the root mean
            square of the tensor that it is added to. Defaults to `5e-4`.
        seed, noise_stddev: As in `Gaussian`.
    """

    def __init__(self, magnitude=5e-4, seed=None, *, noise_stddev=None):
        super().__init__(magnitude, seed, noise_stddev=noise_stddev)

    def offsets(self, weights, unroll):
        return [
            noise * (numerics.norm(weight) / math.prod(weight.shape) ** 0.5)
            for noise, weight in zip(super().offsets(weights, unroll), weights)
        ]


@keras.saving.register_keras_serializable(package="keras_l2o")
class PersistentGaussian(Gaussian):
    """Adds normal noise that is drawn once and held for the whole unroll.

    Args:
        magnitude, seed, noise_stddev: As in `Gaussian`.
    """

    def offsets(self, weights, unroll):
        return [
            ops.broadcast_to(
                self._normal(weight.shape, weight.dtype),
                (unroll, *weight.shape),
            )
            for weight in weights
        ]
