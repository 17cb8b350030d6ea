import keras
from keras import ops

from keras_l2o.training.estimators.evolution import Evolution


@keras.saving.register_keras_serializable(package="keras_l2o")
class NRES(Evolution):
    """Noise-reuse evolution strategies: unbiased over truncations.

    The noise of a pair is drawn once an episode and used in all of its
    truncations. An outer step's estimate varies at most as much as that of
    `PES`. Pairs whose noise was lost, because one of the two diverged, draw
    again.

    Args:
        pairs: Int. Pairs of particles of each task. Defaults to `8`.
        stddev: Float. Standard deviation of the noise on the student's
            weights. Defaults to `0.01`.
        seed: Int, or `None` for a random one. Defaults to `None`.

    Example:

    >>> trainer = keras_l2o.MetaTrainer(
    ...     estimator=keras_l2o.training.estimators.NRES(pairs=4))

    Reference:
        - [Li et al., 2023](https://arxiv.org/abs/2304.12180)
    """

    def noise(self, drawn, before, reset):
        held = [
            ops.where(ops.logical_or(reset, _is_none(old)), fresh, old)
            for fresh, old in zip(drawn, before)
        ]
        return held, held


def _is_none(noise):
    """Which pairs have no noise, `(pairs, 1, ...)`."""
    axes = tuple(range(1, len(noise.shape)))
    return ops.all(ops.equal(noise, 0.0), axis=axes, keepdims=True)
