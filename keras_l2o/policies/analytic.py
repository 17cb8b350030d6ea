"""Update rules that were designed by hand."""

from typing import Any
from typing import Literal

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
from keras_l2o.typing import Config
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_l2o")
class SGD(AnalyticPolicy):
    """Gradient descent: the update is `learning_rate * gradient`.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.01`.
        **kwargs: `trainable_hyperparameters`, a list of names of arguments
            above to be trained, or `True` for all (defaults to `()`, none);
            `name` and `dtype`, as in `Policy`.

    Example:

    >>> sgd = keras_l2o.policies.SGD(0.5)
    >>> state = sgd.initial_state([np.zeros(1)])
    >>> [update], state = sgd.update([np.ones(1)], [np.zeros(1)], state)
    >>> np.array(update).tolist()
    [0.5]
    """

    def __init__(self, learning_rate: float = 0.01, **kwargs: Any) -> None:
        super().__init__({"learning_rate": learning_rate}, **kwargs)

    def tensor_update(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> tuple[Tensor, Nest]:
        return self.hyperparameter("learning_rate") * gradient, state


@keras.saving.register_keras_serializable(package="keras_l2o")
class Momentum(AnalyticPolicy):
    """Gradient descent along a decayed average of past gradients.

    The average is `m = beta * m + (1 - beta) * gradient`. So the rate of
    `keras.optimizers.SGD(momentum=beta)`, multiplied by `1 / (1 - beta)`, is
    the rate to use here.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.01`.
        beta: Float in `[0, 1)`. Decay of the average. Defaults to `0.9`.
        **kwargs: `trainable_hyperparameters`, a list of names of arguments
            above to be trained, or `True` for all (defaults to `()`, none);
            `name` and `dtype`, as in `Policy`.

    Example:

    >>> momentum = keras_l2o.policies.Momentum(1.0, beta=0.5)
    >>> state = momentum.initial_state([np.zeros(1)])
    >>> for _ in range(2):
    ...     [update], state = momentum.update(
    ...         [np.ones(1)], [np.zeros(1)], state)
    >>> np.array(update).tolist()  # 0.5 * 0.5 + 0.5
    [0.75]

    Reference:
        - [Polyak, 1964](https://doi.org/10.1016/0041-5553(64)90137-5)
    """

    def __init__(
        self, learning_rate: float = 0.01, beta: float = 0.9, **kwargs: Any
    ) -> None:
        super().__init__(
            {"learning_rate": learning_rate, "beta": beta}, **kwargs
        )

    def tensor_state(self, parameter: Tensor) -> Nest:
        return Moment(self.zeros(parameter))

    def tensor_update(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> tuple[Tensor, Nest]:
        beta = self.hyperparameter("beta")
        state = Moment(average(state.first, gradient, beta))
        return self.hyperparameter("learning_rate") * state.first, state


@keras.saving.register_keras_serializable(package="keras_l2o")
class RMSprop(AnalyticPolicy):
    """The gradient, divided by the root of a decayed mean of its square.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.01`.
        rho: Float in `[0, 1)`. Decay of the mean square. Defaults to `0.9`.
        epsilon: Float. Added inside the root. Defaults to `1e-10`.
        **kwargs: `trainable_hyperparameters`, a list of names of arguments
            above to be trained, or `True` for all (defaults to `()`, none);
            `name` and `dtype`, as in `Policy`.

    Example:

    >>> rule = keras_l2o.policies.RMSprop(0.005)
    >>> optimizer = keras_l2o.LearnedOptimizer(rule)

    Reference:
        - Tieleman and Hinton, 2012, lecture 6.5.
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        rho: float = 0.9,
        epsilon: float = 1e-10,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            {"learning_rate": learning_rate, "rho": rho, "epsilon": epsilon},
            **kwargs,
        )

    def tensor_state(self, parameter: Tensor) -> Nest:
        return SquareMoment(self.zeros(parameter))

    def tensor_update(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> tuple[Tensor, Nest]:
        rho = self.hyperparameter("rho")
        second = average(state.second, ops.square(gradient), rho)
        direction = gradient * numerics.inverse_root(
            second, self.hyperparameter("epsilon")
        )
        update = self.hyperparameter("learning_rate") * direction
        return update, SquareMoment(second)


class TwoMoments(AnalyticPolicy):
    """Base class of rules that average the gradient and its square.

    A subclass implements `direction`, which is then multiplied by the
    learning rate.
    """

    def __init__(
        self,
        learning_rate: float,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-10,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            {
                "learning_rate": learning_rate,
                "beta_1": beta_1,
                "beta_2": beta_2,
                "epsilon": epsilon,
            },
            **kwargs,
        )

    def tensor_state(self, parameter: Tensor) -> Nest:
        return Moments(self.zeros(parameter), self.zeros(parameter))

    def tensor_update(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> tuple[Tensor, Nest]:
        state = average_moments(
            state,
            gradient,
            self.hyperparameter("beta_1"),
            self.hyperparameter("beta_2"),
        )
        direction = self.direction(gradient, state, step)
        return self.hyperparameter("learning_rate") * direction, state

    def corrected(
        self,
        moments: Moments,
        step: Tensor,
        kind: Literal["paper", "constant"] | None = "paper",
    ) -> Moments:
        """Both averages, corrected for their start at zero.

        Args:
            moments: `Moments` after the step.
            step: Float scalar tensor, gradients averaged so far.
            kind: As in `keras_l2o.numerics.bias_correction`. Defaults to
                `"paper"`.

        Returns:
            `Moments`.
        """
        return corrected(
            moments,
            step,
            self.hyperparameter("beta_1"),
            self.hyperparameter("beta_2"),
            kind,
        )

    def direction(
        self, gradient: Tensor, moments: Moments, step: Tensor
    ) -> Tensor:
        """The direction of the update.

        Args:
            gradient: Tensor of any shape.
            moments: `Moments` of that shape, averaged up to this gradient.
            step: Float scalar tensor, gradients averaged so far.

        Returns:
            Tensor of that shape, to be multiplied by the learning rate.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `direction`."
        )

    def inverse_root(self, second: Tensor) -> Tensor:
        """`1 / sqrt(second + epsilon)`, with the rule's own epsilon.

        Args:
            second: Tensor, a mean of squares.

        Returns:
            Tensor of the same shape.
        """
        return numerics.inverse_root(second, self.hyperparameter("epsilon"))


@keras.saving.register_keras_serializable(package="keras_l2o")
class Adam(TwoMoments):
    """Adam: the mean gradient over the root of its mean square.

    Both are decayed averages, corrected for their start at zero.

    Args:
        learning_rate: Float. Scale of the update. Defaults to `0.001`.
        beta_1: Float in `[0, 1)`. Decay of the mean. Defaults to `0.9`.
        beta_2: Float in `[0, 1)`. Decay of the mean square. Defaults to
            `0.999`.
        epsilon: Float. Added inside the root. Defaults to `1e-10`.
        bias_correction: `"paper"`, `"constant"` (as in the code of Optimizer
            Amalgamation from 2021) or `None` for no correction. Defaults to
            `"paper"`.
        **kwargs: `trainable_hyperparameters`, a list of names of numbers
            above to be trained, or `True` for all (defaults to `()`, none);
            `name` and `dtype`, as in `Policy`.

    Example:

    >>> adam = keras_l2o.policies.Adam(
    ...     0.001, trainable_hyperparameters=["learning_rate"])
    >>> adam.build()
    >>> len(adam.trainable_variables)
    1

    Reference:
        - [Kingma and Ba, 2015](https://arxiv.org/abs/1412.6980)
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-10,
        bias_correction: str | None = "paper",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        self.bias_correction = check_bias_correction(bias_correction)

    def direction(
        self, gradient: Tensor, moments: Moments, step: Tensor
    ) -> Tensor:
        first, second = self.corrected(moments, step, self.bias_correction)
        return first * self.inverse_root(second)

    def get_config(self) -> Config:
        return {**super().get_config(), "bias_correction": self.bias_correction}
