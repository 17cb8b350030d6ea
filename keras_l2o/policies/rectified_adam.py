import keras
from keras import ops

from keras_l2o.policies.analytic import TwoMoments

#: Length of the mean square's average from which its variance is tractable.
THRESHOLD = 5.0


@keras.saving.register_keras_serializable(package="keras_l2o")
class RectifiedAdam(TwoMoments):
    """Adam whose first steps are damped by how little it has averaged.

    While the mean square holds too few gradients for its variance to be
    known, the update is the corrected mean alone.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.001`.
        beta_1: Float in `[0, 1)`. Decay of the mean. Defaults to `0.9`.
        beta_2: Float in `[0, 1)`. Decay of the mean square. Defaults to
            `0.999`.
        epsilon: Float. Added inside the root. Defaults to `1e-10`.
        trainable_hyperparameters: Names of arguments above to be trained, or
            `True` for all. Defaults to none.

    Reference:
        - [Liu et al., 2020](https://arxiv.org/abs/1908.03265)
    """

    def __init__(self, learning_rate=0.001, **kwargs):
        super().__init__(learning_rate, **kwargs)

    def direction(self, gradient, moments, step):
        first, second = self.corrected(moments, step)
        beta_2 = ops.cast(self.hyperparameter("beta_2"), step.dtype)
        longest = 2.0 / (1.0 - beta_2) - 1.0
        # By `expm1`: two numbers of some 2000 differ by 5 here, and float32
        # would lose the second one's last digits in `1 - beta_2 ** step`.
        exponent = step * ops.log(beta_2)
        length = longest + 2.0 * step * ops.exp(exponent) / ops.expm1(exponent)
        tractable = length >= THRESHOLD
        # Replaced before the root and not only after it: the gradient of a
        # branch that is not taken would be a NaN.
        length = ops.where(tractable, length, THRESHOLD)
        longest = ops.maximum(longest, length)
        rectification = ops.sqrt(
            ((length - 4.0) * (length - 2.0) * longest)
            / ((longest - 4.0) * (longest - 2.0) * length)
        )
        rectification = ops.cast(rectification, first.dtype)
        return ops.where(
            tractable,
            rectification * first * self.inverse_root(second),
            first,
        )
