import keras
from keras import ops

from keras_l2o.training.estimators.evolution import Evolution


@keras.saving.register_keras_serializable(package="keras_l2o")
class PES(Evolution):
    """Persistent evolution strategies: unbiased over truncations.

    Each truncation disturbs the weights anew; its losses' difference is
    weighed by the sum of all noise since the episode began, and so accounts
    for what earlier truncations have done to the state. The variance of an
    outer step's estimate grows with the truncations before it.

    Args:
        pairs: Int. Pairs of particles of each task. Defaults to `8`.
        stddev: Float. Standard deviation of the noise on the student's
            weights. Defaults to `0.01`.
        seed: Int, or `None` for a random one. Defaults to `None`.

    Example:

    >>> trainer = keras_l2o.MetaTrainer(
    ...     estimator=keras_l2o.training.estimators.PES(pairs=4))

    Reference:
        - [Vicol et al., 2021](https://arxiv.org/abs/2112.13835)
    """

    def noise(self, drawn, before, reset):
        total = [
            ops.where(reset, fresh, fresh + old)
            for fresh, old in zip(drawn, before)
        ]
        return drawn, total
