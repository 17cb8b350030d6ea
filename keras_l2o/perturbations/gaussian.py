"""Normal noise on the student's weights."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from keras_l2o import numerics
from keras_l2o.perturbations.perturbation import Perturbation
from keras_l2o.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_l2o")
class Gaussian(Perturbation):
    """Adds normal noise to the student's weights, new at every inner step.

    Args:
        magnitude: Float. Standard deviation of the noise. Defaults to `1e-3`.
        seed: Int. Seed of the noise. Defaults to `None`, a random seed.
        noise_stddev: Float. Another name for `magnitude`, which it replaces if
            given. Defaults to `None`.

    Example:

    >>> noise = keras_l2o.perturbations.Gaussian(1e-3, seed=0)
    >>> history = trainer.fit(
    ...     callbacks=[noise], epochs=1, steps_per_epoch=1, verbose=0)

    Reference:
        - [Huang et al., 2022](https://arxiv.org/abs/2203.06474), section 3.4.
    """

    def __init__(
        self,
        magnitude: float = 1e-3,
        seed: int | None = None,
        *,
        noise_stddev: float | None = None,
    ) -> None:
        super().__init__(
            magnitude if noise_stddev is None else noise_stddev, seed
        )

    def offsets(self, weights: Sequence[Tensor], unroll: int) -> list[Tensor]:
        # Drawn for all steps at once, because a random generator cannot be
        # used inside the compiled loop over the steps.
        return [
            self._normal((unroll, *weight.shape), weight.dtype)
            for weight in weights
        ]

    def _normal(self, shape, dtype):
        noise = keras.random.normal(shape, dtype=dtype, seed=self.generator)
        return noise * ops.cast(self.magnitude, dtype)


@keras.saving.register_keras_serializable(package="keras_l2o")
class RelativeGaussian(Gaussian):
    """Adds normal noise in proportion to the size of each weight tensor.

    Args:
        magnitude: Float. Standard deviation of the noise, as a share of the
            root mean square of the tensor that it is added to. Defaults to
            `5e-4`.
        seed: Int. Seed of the noise. Defaults to `None`, a random seed.
        noise_stddev: Float. Another name for `magnitude`, which it replaces if
            given. Defaults to `None`.

    Example:

    >>> noise = keras_l2o.perturbations.RelativeGaussian(1e-3, seed=0)
    >>> noise.build()
    >>> [drawn] = noise.offsets([keras.ops.zeros((2, 3))], unroll=5)
    >>> bool(keras.ops.all(drawn == 0))  # weights of zero get no noise
    True
    """

    def __init__(
        self,
        magnitude: float = 5e-4,
        seed: int | None = None,
        *,
        noise_stddev: float | None = None,
    ) -> None:
        super().__init__(magnitude, seed, noise_stddev=noise_stddev)

    def offsets(self, weights: Sequence[Tensor], unroll: int) -> list[Tensor]:
        return [
            noise * (numerics.norm(weight) / math.prod(weight.shape) ** 0.5)
            for noise, weight in zip(super().offsets(weights, unroll), weights)
        ]


@keras.saving.register_keras_serializable(package="keras_l2o")
class PersistentGaussian(Gaussian):
    """Adds normal noise that stays the same for a whole unroll.

    Args:
        magnitude: Float. Standard deviation of the noise. Defaults to `1e-3`.
        seed: Int. Seed of the noise. Defaults to `None`, a random seed.
        noise_stddev: Float. Another name for `magnitude`, which it replaces if
            given. Defaults to `None`.

    Example:

    >>> noise = keras_l2o.perturbations.PersistentGaussian(1e-3, seed=0)
    >>> noise.build()
    >>> [drawn] = noise.offsets([keras.ops.zeros((2, 3))], unroll=5)
    >>> bool(keras.ops.all(drawn == drawn[0]))
    True
    """

    def offsets(self, weights: Sequence[Tensor], unroll: int) -> list[Tensor]:
        return [
            ops.broadcast_to(
                self._normal(weight.shape, weight.dtype),
                (unroll, *weight.shape),
            )
            for weight in weights
        ]
