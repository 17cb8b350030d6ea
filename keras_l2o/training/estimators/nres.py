import keras
from keras import ops

from keras_l2o.training.estimators.evolution import Evolution
from keras_l2o.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_l2o")
class NRES(Evolution):
    """Noise-reuse evolution strategies, unbiased over truncations.

    The noise `d` of a pair of particles is drawn once an episode and used in
    all of its truncations. The estimate of an outer step, from a truncation
    with the objective `L`, is the mean over pairs of

        d * (L(w + d) - L(w - d)) / (2 * stddev**2)

    where `w` are the student's weights. Its variance is at most that of
    `PES`. A pair that starts afresh within an episode, because one of its
    particles diverged, draws new noise.

    Args:
        pairs: Int. Pairs of particles of each task. Defaults to `8`.
        stddev: Float. Standard deviation of the noise on the student's
            weights. Defaults to `0.01`.
        seed: Int. Seed of the noise. Defaults to `None`, a random seed.

    Raises:
        ValueError: `pairs` or `stddev` is not positive.

    Example:

    >>> trainer = keras_l2o.MetaTrainer(
    ...     problems="quadratic_10",
    ...     estimator=keras_l2o.training.estimators.NRES(pairs=4))

    Reference:
        - [Li et al., 2023](https://arxiv.org/abs/2304.12180)
    """

    def noise(
        self, drawn: list[Tensor], before: list[Tensor], reset: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        held = [
            ops.where(ops.logical_or(reset, _is_none(old)), fresh, old)
            for fresh, old in zip(drawn, before)
        ]
        return held, held


def _is_none(noise):
    """Booleans `(pairs, 1, ...)`, true for the pairs that have no noise."""
    axes = tuple(range(1, len(noise.shape)))
    return ops.all(ops.equal(noise, 0.0), axis=axes, keepdims=True)
