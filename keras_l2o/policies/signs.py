"""Rules that compare the gradient's sign with its average's, smoothly."""

import keras
from keras import ops

from keras_l2o.policies.analytic import TwoMoments


class SignAgreement(TwoMoments):
    """Base class: both signs by `tanh`, so that the outer loop has a gradient.

    Gradient and average are first divided by the root of the mean square.
    """

    def agreement(self, gradient, moments):
        """Near 1 where gradient and average point the same way, or -1."""
        scale = self.inverse_root(moments.second)
        return ops.tanh(gradient * scale) * ops.tanh(moments.first * scale)


@keras.saving.register_keras_serializable(package="keras_l2o")
class PowerSign(SignAgreement):
    """Gradient, scaled by `exp` of its agreement with its average.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.1`.
        beta_1: Float in `[0, 1)`. Decay of the mean. Defaults to `0.9`.
        beta_2: Float in `[0, 1)`. Decay of the mean square, by whose root
            gradient and mean are scaled before `tanh` takes their sign.
            Defaults to `0.999`.
        epsilon: Float. Added inside the root. Defaults to `1e-10`.
        trainable_hyperparameters: Names of arguments above to be trained, or
            `True` for all. Defaults to none.

    Reference:
        - [Bello et al., 2017](https://arxiv.org/abs/1709.07417)
    """

    def __init__(self, learning_rate=0.1, **kwargs):
        super().__init__(learning_rate, **kwargs)

    def direction(self, gradient, moments, step):
        return ops.exp(self.agreement(gradient, moments)) * gradient


@keras.saving.register_keras_serializable(package="keras_l2o")
class AddSign(SignAgreement):
    """Gradient, scaled by one plus its agreement with its average.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.1`.
        beta_1, beta_2, epsilon, trainable_hyperparameters: As in `PowerSign`.

    Reference:
        - [Bello et al., 2017](https://arxiv.org/abs/1709.07417)
    """

    def __init__(self, learning_rate=0.1, **kwargs):
        super().__init__(learning_rate, **kwargs)

    def direction(self, gradient, moments, step):
        return (1.0 + self.agreement(gradient, moments)) * gradient


@keras.saving.register_keras_serializable(package="keras_l2o")
class AdaptivePowerSign(SignAgreement):
    """`PowerSign` on the gradient over the root of its mean square.

    Args:
        learning_rate: Float. Scale of the update, which does not depend on
            the gradient's. Defaults to `0.001`.
        beta_1, beta_2, epsilon, trainable_hyperparameters: As in `PowerSign`.
    """

    def __init__(self, learning_rate=0.001, **kwargs):
        super().__init__(learning_rate, **kwargs)

    def direction(self, gradient, moments, step):
        normalized = gradient * self.inverse_root(moments.second)
        return ops.exp(self.agreement(gradient, moments)) * normalized


@keras.saving.register_keras_serializable(package="keras_l2o")
class AdaptiveAddSign(SignAgreement):
    """`AddSign` on the gradient over the root of its mean square.

    Args:
        learning_rate: Float. Scale of the update, which does not depend on
            the gradient's. Defaults to `0.001`.
        beta_1, beta_2, epsilon, trainable_hyperparameters: As in `PowerSign`.
    """

    def __init__(self, learning_rate=0.001, **kwargs):
        super().__init__(learning_rate, **kwargs)

    def direction(self, gradient, moments, step):
        normalized = gradient * self.inverse_root(moments.second)
        return (1.0 + self.agreement(gradient, moments)) * normalized
