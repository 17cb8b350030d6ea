"""Rules that compare the gradient's sign with its average's, smoothly."""

from typing import Any

import keras
from keras import ops

from keras_l2o.policies.analytic import TwoMoments
from keras_l2o.policies.moments import Moments
from keras_l2o.typing import Tensor


class SignAgreement(TwoMoments):
    """Base class of rules that compare two signs.

    Each sign is the `tanh` of the gradient, or of its average, divided by the
    root of the mean square: a smooth function, which meta-training can
    differentiate.
    """

    def agreement(self, gradient: Tensor, moments: Moments) -> Tensor:
        """How far the gradient's sign agrees with its average's.

        Args:
            gradient: Tensor of any shape.
            moments: `Moments` of that shape.

        Returns:
            Tensor of that shape, from -1 (opposite signs) to 1 (the same).
        """
        scale = self.inverse_root(moments.second)
        return ops.tanh(gradient * scale) * ops.tanh(moments.first * scale)


@keras.saving.register_keras_serializable(package="keras_l2o")
class PowerSign(SignAgreement):
    """The gradient, times `exp` of how far its sign agrees with its average's.

    The step is longer where a gradient points where those before it have
    pointed, and shorter where it does not.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.1`.
        **kwargs: `beta_1`, the decay of the mean (defaults to `0.9`);
            `beta_2`, the decay of the mean square (defaults to `0.999`);
            `epsilon`, added inside the root (defaults to `1e-10`);
            `trainable_hyperparameters`, a list of names of these numbers to be
            trained, or `True` for all (defaults to `()`, none); `name` and
            `dtype`, as in `Policy`.

    Example:

    >>> rule = keras_l2o.policies.PowerSign(0.1)
    >>> optimizer = keras_l2o.LearnedOptimizer(rule)

    Reference:
        - [Bello et al., 2017](https://arxiv.org/abs/1709.07417)
    """

    def __init__(self, learning_rate: float = 0.1, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)

    def direction(
        self, gradient: Tensor, moments: Moments, step: Tensor
    ) -> Tensor:
        return ops.exp(self.agreement(gradient, moments)) * gradient


@keras.saving.register_keras_serializable(package="keras_l2o")
class AddSign(SignAgreement):
    """The gradient, times one plus how far its sign agrees with its average's.

    The step is twice as long where a gradient points where those before it
    have pointed, and zero where it points the other way.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.1`.
        **kwargs: `beta_1`, `beta_2` and `epsilon`, as in `PowerSign`, and what
            is in its `**kwargs`.

    Example:

    >>> rule = keras_l2o.policies.AddSign(0.1)
    >>> optimizer = keras_l2o.LearnedOptimizer(rule)

    Reference:
        - [Bello et al., 2017](https://arxiv.org/abs/1709.07417)
    """

    def __init__(self, learning_rate: float = 0.1, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)

    def direction(
        self, gradient: Tensor, moments: Moments, step: Tensor
    ) -> Tensor:
        return (1.0 + self.agreement(gradient, moments)) * gradient


@keras.saving.register_keras_serializable(package="keras_l2o")
class AdaptivePowerSign(SignAgreement):
    """`PowerSign`, on the gradient divided by the root of its mean square.

    Args:
        learning_rate: Float. Scale of the update, which does not depend on
            the gradient's. Defaults to `0.001`.
        **kwargs: `beta_1`, `beta_2` and `epsilon`, as in `PowerSign`, and what
            is in its `**kwargs`.

    Example:

    >>> rule = keras_l2o.policies.AdaptivePowerSign(0.001)
    >>> optimizer = keras_l2o.LearnedOptimizer(rule)
    """

    def __init__(self, learning_rate: float = 0.001, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)

    def direction(
        self, gradient: Tensor, moments: Moments, step: Tensor
    ) -> Tensor:
        normalized = gradient * self.inverse_root(moments.second)
        return ops.exp(self.agreement(gradient, moments)) * normalized


@keras.saving.register_keras_serializable(package="keras_l2o")
class AdaptiveAddSign(SignAgreement):
    """`AddSign`, on the gradient divided by the root of its mean square.

    Args:
        learning_rate: Float. Scale of the update, which does not depend on
            the gradient's. Defaults to `0.001`.
        **kwargs: `beta_1`, `beta_2` and `epsilon`, as in `PowerSign`, and what
            is in its `**kwargs`.

    Example:

    >>> rule = keras_l2o.policies.AdaptiveAddSign(0.001)
    >>> optimizer = keras_l2o.LearnedOptimizer(rule)
    """

    def __init__(self, learning_rate: float = 0.001, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)

    def direction(
        self, gradient: Tensor, moments: Moments, step: Tensor
    ) -> Tensor:
        normalized = gradient * self.inverse_root(moments.second)
        return (1.0 + self.agreement(gradient, moments)) * normalized
