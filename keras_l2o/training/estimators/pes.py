import keras
from keras import ops

from keras_l2o.training.estimators.evolution import Evolution
from keras_l2o.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_l2o")
class PES(Evolution):
    """Persistent evolution strategies, unbiased over truncations.

    Each truncation `k` of an episode draws new noise `d_k`. Its estimate,
    with the objective `L_k`, is the mean over pairs of particles of

        (d_1 + ... + d_k) * (L_k(w + d_k) - L_k(w - d_k)) / (2 * stddev**2)

    where `w` are the student's weights. The sum of the noise accounts for the
    effect of earlier truncations on the state that this one starts from. The
    variance of the estimate grows with the number of truncations before it.

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
    ...     estimator=keras_l2o.training.estimators.PES(pairs=4))

    Reference:
        - [Vicol et al., 2021](https://arxiv.org/abs/2112.13835)
    """

    def noise(
        self, drawn: list[Tensor], before: list[Tensor], reset: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        total = [
            ops.where(reset, fresh, fresh + old)
            for fresh, old in zip(drawn, before)
        ]
        return drawn, total
