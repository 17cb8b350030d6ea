"""Adam with smaller first steps."""

from typing import Any

import keras
from keras import ops

from keras_l2o.policies.analytic import TwoMoments
from keras_l2o.policies.moments import Moments
from keras_l2o.typing import Tensor

#: How many gradients the mean square has to average, in effect, until its
#: variance is known well enough to divide by it.
THRESHOLD = 5.0


@keras.saving.register_keras_serializable(package="keras_l2o")
class RectifiedAdam(TwoMoments):
    """Adam with smaller first steps.

    The fewer gradients the mean square has averaged, the smaller the step.
    As long as they are too few for its variance to be known at all, the
    update is the corrected mean alone, without the division.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.001`.
        beta_1: Float in `[0, 1)`. Decay of the mean. Defaults to `0.9`.
        beta_2: Float in `[0, 1)`. Decay of the mean square. Defaults to
            `0.999`.
        epsilon: Float. Added inside the root. Defaults to `1e-10`.
        **kwargs: `trainable_hyperparameters`, a list of names of arguments
            above to be trained, or `True` for all (defaults to `()`, none);
            `name` and `dtype`, as in `Policy`.

    Example:

    >>> rule = keras_l2o.policies.RectifiedAdam(0.001)
    >>> optimizer = keras_l2o.LearnedOptimizer(rule)

    Reference:
        - [Liu et al., 2020](https://arxiv.org/abs/1908.03265)
    """

    def __init__(self, learning_rate: float = 0.001, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)

    def direction(
        self, gradient: Tensor, moments: Moments, step: Tensor
    ) -> Tensor:
        first, second = self.corrected(moments, step)
        beta_2 = ops.cast(self.hyperparameter("beta_2"), step.dtype)
        longest = 2.0 / (1.0 - beta_2) - 1.0
        # With `expm1`: `length` is the small difference of two numbers of some
        # 2000, and float32 would lose its digits in `1 - beta_2 ** step`.
        exponent = step * ops.log(beta_2)
        length = longest + 2.0 * step * ops.exp(exponent) / ops.expm1(exponent)
        tractable = length >= THRESHOLD
        # The root must not see the lengths that are not used: the gradient of
        # a branch that is not taken would be NaN.
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
