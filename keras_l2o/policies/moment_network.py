"""What learned rules that read Adam's averages have in common."""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import numerics
from keras_l2o.policies.arguments import check_flag
from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.coordinatewise import CoordinatewisePolicy
from keras_l2o.policies.moments import Moments
from keras_l2o.policies.moments import average_moments
from keras_l2o.policies.moments import check_bias_correction
from keras_l2o.policies.moments import check_decay
from keras_l2o.policies.moments import corrected
from keras_l2o.policies.recurrent import RecurrentStack
from keras_l2o.policies.recurrent import linear
from keras_l2o.typing import Config
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


class MomentNetworkState(NamedTuple):
    moments: Moments
    recurrent: Any  # per layer: hidden and cell, units, then the shape


class MomentNetwork(CoordinatewisePolicy):
    """Base class of LSTMs that read Adam's and RMSprop's directions.

    A subclass implements `rule`, and overrides `features` and `width` if its
    network reads more than these two directions.

    Args:
        units: Tuple of ints. Widths of the LSTM layers. Defaults to
            `(20, 20)`.
        beta_1: Float in `[0, 1)`. Decay of the mean. Defaults to `0.9`.
        beta_2: Float in `[0, 1)`. Decay of the mean square. Defaults to
            `0.999`.
        epsilon: Float. Added inside the root. Defaults to `1e-10`.
        bias_correction: `"paper"`, `"constant"` (as in the code of Optimizer
            Amalgamation from 2021) or `None`. Defaults to `"paper"`.
        cell_options: Dict of further arguments of `keras.layers.LSTMCell`. With
            `odd=True` these are its activations, initializers and
            `unit_forget_bias`, and `activation` must be `"tanh"` or `"linear"`.
            Defaults to `None`.
        warm_up_recurrent: Bool. Whether the state of the LSTM follows the
            gradients of steps that another rule makes. Defaults to `False`.
        feed_all: Bool. Whether every layer, and the last one, reads the
            features, too. Defaults to `False`.
        readout_initializer: Initializer of the kernel of the last, dense
            layer. Defaults to `"glorot_uniform"`.
        odd: Bool. Whether the network's output flips its sign with the
            features, or, if `even_output` is true, does not depend on their
            signs; the update is then odd if `rule` is. Defaults to `True`.
        **kwargs: `name` and `dtype`, as in `Policy`.
    """

    former = {"layers": "units"}
    later = {"odd": False}
    own_program = True

    #: How many tensors `features` returns.
    width = 2
    #: Whether `rule` multiplies a direction by a function of the output, which
    #: in an odd policy must then be even.
    even_output = False

    def __init__(
        self,
        units: Sequence[int] = (20, 20),
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-10,
        bias_correction: str | None = "paper",
        cell_options: Mapping[str, Any] | None = None,
        warm_up_recurrent: bool = False,
        feed_all: bool = False,
        readout_initializer: Any = "glorot_uniform",
        odd: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.beta_1 = check_decay("beta_1", beta_1)
        self.beta_2 = check_decay("beta_2", beta_2)
        self.epsilon = check_number("epsilon", epsilon, least=0.0)
        self.bias_correction = check_bias_correction(bias_correction)
        self.warm_up_recurrent = check_flag(
            "warm_up_recurrent", warm_up_recurrent
        )
        self.odd = check_flag("odd", odd)
        odd_output = self.odd and not self.even_output
        self.stack = RecurrentStack(
            units,
            cell_options,
            feed_all,
            odd_output,
            dtype=self.dtype_policy,
            name="lstm",
        )
        self.readout = keras.layers.Dense(
            1,
            use_bias=not odd_output,
            kernel_initializer=readout_initializer,
            dtype=self.dtype_policy,
            name="readout",
        )

    def features(
        self, gradient: Tensor, adam: Tensor, rmsprop: Tensor
    ) -> list[Tensor]:
        """What the network reads.

        Args:
            gradient: Tensor.
            adam: Tensor, the corrected mean over the root of the corrected
                mean square.
            rmsprop: Tensor, the gradient over the same root.

        Returns:
            List of `width` tensors of the gradient's shape.
        """
        return [adam, rmsprop]

    def rule(self, output: Tensor, adam: Tensor, rmsprop: Tensor) -> Tensor:
        """The update.

        Args:
            output: Tensor of the gradient's shape, the network's output.
            adam: Tensor, as in `features`.
            rmsprop: Tensor, as in `features`.

        Returns:
            Tensor of the same shape, to be subtracted from the parameter.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `rule`."
        )

    def build(self, input_shape: Any = None) -> None:
        self.stack.build(self.width)
        self.readout.build((None, self.stack.output_width))
        self.built = True

    def tensor_state(self, parameter: Tensor) -> Nest:
        return MomentNetworkState(
            Moments(self.zeros(parameter), self.zeros(parameter)),
            self.stack.initial_state(tuple(parameter.shape)),
        )

    def tensor_update(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> tuple[Tensor, Nest]:
        moments = average_moments(
            state.moments, gradient, self.beta_1, self.beta_2
        )
        first, second = corrected(
            moments, step, self.beta_1, self.beta_2, self.bias_correction
        )
        scale = numerics.inverse_root(second, self.epsilon)
        adam, rmsprop = first * scale, gradient * scale
        shape = tuple(gradient.shape)
        features = ops.reshape(
            ops.stack(self.features(gradient, adam, rmsprop)),
            (self.width, math.prod(shape)),
        )
        if self.odd and self.even_output:
            features = ops.abs(features)
        features, recurrent = self.stack.step(features, state.recurrent)
        output = ops.reshape(linear(self.readout, features), shape)
        update = self.rule(output, adam, rmsprop)
        return update, MomentNetworkState(moments, recurrent)

    def tensor_warm_up(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> Nest:
        if self.warm_up_recurrent:
            return self.tensor_update(gradient, parameter, state, step)[1]
        return state._replace(
            moments=average_moments(
                state.moments, gradient, self.beta_1, self.beta_2
            )
        )

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "units": list(self.stack.units),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "bias_correction": self.bias_correction,
            "cell_options": dict(self.stack.cell_options),
            "warm_up_recurrent": self.warm_up_recurrent,
            "odd": self.odd,
        }
