"""The hand-designed update rules that pools are made of."""

import keras
from keras import ops

from keras_l2o import numerics
from keras_l2o.policies.hyperparameters import AnalyticPolicy
from keras_l2o.policies.moments import Moment
from keras_l2o.policies.moments import Moments
from keras_l2o.policies.moments import SquareMoment
from keras_l2o.policies.moments import average
from keras_l2o.policies.moments import average_moments
from keras_l2o.policies.moments import check_bias_correction
from keras_l2o.policies.moments import corrected


@keras.saving.register_keras_serializable(package="keras_l2o")
class SGD(AnalyticPolicy):
    """Gradient descent: a step along the gradient.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.01`.
        trainable_hyperparameters: Names of arguments above to be trained, or
            `True` for all. Defaults to none.
    """

    def __init__(self, learning_rate=0.01, **kwargs):
        super().__init__({"learning_rate": learning_rate}, **kwargs)

    def tensor_update(self, gradient, parameter, state, step):
        return self.hyperparameter("learning_rate") * gradient, state


@keras.saving.register_keras_serializable(package="keras_l2o")
class Momentum(AnalyticPolicy):
    """Heavy-ball update: a decayed average of past gradients.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.01`.
        beta: Float in `[0, 1)`. Decay of the average. Defaults to `0.9`.
        trainable_hyperparameters: Names of arguments above to be trained, or
            `True` for all. Defaults to none.

    The average is `beta * m + (1 - beta) * g`, so a rate here is
    `1 / (1 - beta)` times the rate of `keras.optimizers.SGD(momentum=beta)`.

    Reference:
        - [Polyak, 1964](https://doi.org/10.1016/0041-5553(64)90137-5)
    """

    def __init__(self, learning_rate=0.01, beta=0.9, **kwargs):
        super().__init__(
            {"learning_rate": learning_rate, "beta": beta}, **kwargs
        )

    def tensor_state(self, parameter):
        return Moment(self.zeros(parameter))

    def tensor_update(self, gradient, parameter, state, step):
        beta = self.hyperparameter("beta")
        state = Moment(average(state.first, gradient, beta))
        return self.hyperparameter("learning_rate") * state.first, state


@keras.saving.register_keras_serializable(package="keras_l2o")
class RMSprop(AnalyticPolicy):
    """Gradient over the root of its decayed mean square.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.01`.
        rho: Float in `[0, 1)`. Decay of the mean square. Defaults to `0.9`.
        epsilon: Float. Added inside the root. Defaults to `1e-10`.
        trainable_hyperparameters: Names of arguments above to be trained, or
            `True` for all. Defaults to none.

    Reference:
        - Tieleman and Hinton, 2012, lecture 6.5.
    """

    def __init__(self, learning_rate=0.01, rho=0.9, epsilon=1e-10, **kwargs):
        super().__init__(
            {"learning_rate": learning_rate, "rho": rho, "epsilon": epsilon},
            **kwargs,
        )

    def tensor_state(self, parameter):
        return SquareMoment(self.zeros(parameter))

    def tensor_update(self, gradient, parameter, state, step):
        rho = self.hyperparameter("rho")
        second = average(state.second, ops.square(gradient), rho)
        direction = gradient * numerics.inverse_root(
            second, self.hyperparameter("epsilon")
        )
        update = self.hyperparameter("learning_rate") * direction
        return update, SquareMoment(second)


class TwoMoments(AnalyticPolicy):
    """Base class of rules with a first and a second moment.

    A subclass implements `direction(gradient, moments, step)`, to be
    multiplied by the learning rate.
    """

    def __init__(
        self, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-10, **kwargs
    ):
        super().__init__(
            {
                "learning_rate": learning_rate,
                "beta_1": beta_1,
                "beta_2": beta_2,
                "epsilon": epsilon,
            },
            **kwargs,
        )

    def tensor_state(self, parameter):
        return Moments(self.zeros(parameter), self.zeros(parameter))

    def tensor_update(self, gradient, parameter, state, step):
        state = average_moments(
            state,
            gradient,
            self.hyperparameter("beta_1"),
            self.hyperparameter("beta_2"),
        )
        direction = self.direction(gradient, state, step)
        return self.hyperparameter("learning_rate") * direction, state

    def corrected(self, moments, step, kind="paper"):
        """The moments, freed from their start at zero."""
        return corrected(
            moments,
            step,
            self.hyperparameter("beta_1"),
            self.hyperparameter("beta_2"),
            kind,
        )

    def inverse_root(self, second):
        return numerics.inverse_root(second, self.hyperparameter("epsilon"))


@keras.saving.register_keras_serializable(package="keras_l2o")
class Adam(TwoMoments):
    """Corrected first moment over the root of the corrected second.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.001`.
        beta_1: Float in `[0, 1)`. Decay of the mean. Defaults to `0.9`.
        beta_2: Float in `[0, 1)`. Decay of the mean square. Defaults to
            `0.999`.
        epsilon: Float. Added inside the root. Defaults to `1e-10`.
        bias_correction: `"paper"`, `"constant"` (the 2021 code's) or `None`.
            Defaults to `"paper"`.
        trainable_hyperparameters: Names of the numbers above to be trained,
            or `True` for all. Defaults to none.

    Reference:
        - [Kingma and Ba, 2015](https://arxiv.org/abs/1412.6980)
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-10,
        bias_correction="paper",
        **kwargs,
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        self.bias_correction = check_bias_correction(bias_correction)

    def direction(self, gradient, moments, step):
        first, second = self.corrected(moments, step, self.bias_correction)
        return first * self.inverse_root(second)

    def get_config(self):
        return {**super().get_config(), "bias_correction": self.bias_correction}
