"""Adam with a small network that corrects it."""

import math
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.policies.arguments import check_flag
from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.arguments import check_widths
from keras_l2o.policies.coordinatewise import CoordinatewisePolicy
from keras_l2o.policies.directions import ADAM
from keras_l2o.policies.directions import DECAYS
from keras_l2o.policies.directions import DirectionNetwork
from keras_l2o.policies.directions import build_in_turn
from keras_l2o.policies.directions import rectified
from keras_l2o.policies.directions import stacked
from keras_l2o.policies.moments import average
from keras_l2o.policies.moments import check_decay
from keras_l2o.policies.moments import corrected_average
from keras_l2o.policies.recurrent import linear
from keras_l2o.typing import Config
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor

#: Each of the network's features of time is zero at one of these steps.
TIMES = np.geomspace(1.0, 3000.0, 8)


class FeatureMLPState(NamedTuple):
    momenta: tuple  # per decay, the parameter's shape
    second: Any  # the parameter's shape


@keras.saving.register_keras_serializable(package="keras_l2o")
class FeatureMLP(CoordinatewisePolicy):
    """Adam, with a small network that corrects each coordinate's update.

    The update is `learning_rate * exp(m) * (adam + sum_i c_i e_i)`. The four
    directions `e` are averages of the gradient with three decays, each divided
    by the root of the mean square, and the `tanh` of the gradient over the same
    root. The coefficients `c` and the logarithm of the magnitude, `m`, are the
    outputs of the network. Its inputs are absolute values and products of these
    directions, and the number of the step on a logarithmic scale. So the rule
    is odd: if the signs of all gradients flip, those of the updates do, and a
    coordinate that never had a gradient stays exactly where it is.

    The weights of the last layer start at zero, so that an untrained policy is
    Adam. It keeps four numbers for each parameter of a model, where an LSTM
    keeps some eighty.

    Args:
        learning_rate: Float. The rate of Adam before training. Defaults to
            `0.03`.
        units: Tuple of ints. Widths of the hidden layers. Defaults to
            `(8, 8)`.
        beta_2: Float in `[0, 1)`. Decay of the mean square. Defaults to
            `0.999`.
        epsilon: Float. Added inside the root. Defaults to `1e-10`.
        odd: Bool. Whether the rule is odd. If not, the update is
            `learning_rate * exp(m) * (adam + d)`, where `d` is an output of
            the network, which reads the directions themselves. Policies stored
            before there was this argument have `False`. Defaults to `True`.
        **kwargs: `name` and `dtype`, as in `Policy`.

    Example:

    >>> policy = keras_l2o.policies.FeatureMLP(learning_rate=0.03)
    >>> policy.build()
    >>> state = policy.initial_state([np.zeros(1)])
    >>> [update], state = policy.update([np.ones(1)], [np.zeros(1)], state)
    >>> f"{float(update[0]):.2f}"  # untrained: Adam's first step
    '0.03'

    Reference:
        - [Metz et al., 2022](https://arxiv.org/abs/2203.11860), whose
          `small_fc_lopt` is of this kind.
    """

    former = {"layers": "units"}
    later = {"odd": False}

    def __init__(
        self,
        learning_rate: float = 0.03,
        units: Sequence[int] = (8, 8),
        beta_2: float = 0.999,
        epsilon: float = 1e-10,
        odd: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.learning_rate = check_number("learning_rate", learning_rate)
        self.beta_2 = check_decay("beta_2", beta_2)
        self.epsilon = check_number("epsilon", epsilon, least=0.0)
        self.units = check_widths("units", units)
        self.odd = check_flag("odd", odd)
        if self.odd:
            self.direction = DirectionNetwork(
                self.units, len(TIMES), dtype=self.dtype_policy,
                name="direction",
            )  # fmt: skip
            return
        self.hidden = rectified(self.units, self.dtype_policy)
        self.readout = keras.layers.Dense(
            2,
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            name="readout",
        )

    def build(self, input_shape: Any = None) -> None:
        if self.odd:
            self.direction.build()
        else:
            width = len(DECAYS) + 1 + len(TIMES)
            build_in_turn([*self.hidden, self.readout], width)
        self.built = True

    def tensor_state(self, parameter: Tensor) -> Nest:
        return FeatureMLPState(
            tuple(self.zeros(parameter) for _ in DECAYS), self.zeros(parameter)
        )

    def tensor_update(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> tuple[Tensor, Nest]:
        return self._step(gradient, parameter, state, step)

    def fast_tensor_update(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> tuple[Tensor, Nest]:
        fuses = backend.fuses(gradient)
        return self._step(gradient, parameter, state, step, in_one_pass=fuses)

    def _step(self, gradient, parameter, state, step, in_one_pass=False):
        state = self.tensor_warm_up(gradient, parameter, state, step)
        scale = numerics.inverse_root(
            corrected_average(state.second, self.beta_2, step), self.epsilon
        )
        directions = [
            corrected_average(momentum, decay, step) * scale
            for decay, momentum in zip(DECAYS, state.momenta)
        ]
        normalized = gradient * scale
        times = ops.convert_to_tensor(TIMES, step.dtype)
        time = ops.cast(ops.tanh(step / times - 1.0), self.variable_dtype)
        if self.odd:
            flat = [
                ops.reshape(direction, (-1,))
                for direction in (*directions, ops.tanh(normalized))
            ]
            combined = self.direction.combine(flat, time, in_one_pass)
            update = self.learning_rate * combined
            return ops.reshape(update, ops.shape(gradient)), state
        correction, log_magnitude = self._corrections(
            [*directions, normalized], time
        )
        magnitude = self.learning_rate * ops.exp(log_magnitude)
        return magnitude * (directions[ADAM] + correction), state

    def _corrections(self, features, time):
        """What is added to the direction, and to the magnitude's logarithm.

        Args:
            features: List of tensors of the gradient's shape.
            time: `(times,)`, features that all coordinates share.
        """
        shape = tuple(features[0].shape)
        rows = ops.reshape(
            ops.tanh(ops.stack(features)), (len(features), math.prod(shape))
        )
        output = linear(self.readout, stacked(self.hidden, rows, time))
        return [ops.reshape(output[index], shape) for index in range(2)]

    def tensor_warm_up(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> Nest:
        return FeatureMLPState(
            tuple(
                average(momentum, gradient, decay)
                for decay, momentum in zip(DECAYS, state.momenta)
            ),
            average(state.second, ops.square(gradient), self.beta_2),
        )

    @property
    def rests(self) -> bool:
        return self.odd

    def rested(self, tensor: Nest, steps: Tensor) -> Nest:
        return FeatureMLPState(
            tuple(
                momentum * ops.power(decay, steps)
                for decay, momentum in zip(DECAYS, tensor.momenta)
            ),
            tensor.second * ops.power(self.beta_2, steps),
        )

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "units": list(self.units),
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "odd": self.odd,
        }
