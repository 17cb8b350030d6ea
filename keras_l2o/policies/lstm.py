"""The first learned optimizer: an LSTM on the gradient."""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o.policies.arguments import check_flag
from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.coordinatewise import CoordinatewisePolicy
from keras_l2o.policies.recurrent import RecurrentStack
from keras_l2o.policies.recurrent import linear
from keras_l2o.typing import Config
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


class LSTMState(NamedTuple):
    recurrent: Any  # per layer: hidden and cell, units, then the shape


@keras.saving.register_keras_serializable(package="keras_l2o")
class LSTM(CoordinatewisePolicy):
    """An LSTM that reads the gradient alone, coordinate by coordinate.

    The update is `learning_rate * dense(lstm(gradient))`. This was the first
    learned optimizer, with which later ones are compared. By default the
    network is odd, as in `RNNProp`; the paper's is that of `odd=False`.

    Args:
        units: Tuple of ints. Widths of the LSTM layers. Defaults to
            `(20, 20)`.
        learning_rate: Float. Scale of the update. Defaults to `0.1`.
        cell_options: Dict of further arguments of `keras.layers.LSTMCell`. With
            `odd=True` these are its activations, initializers and
            `unit_forget_bias`, and `activation` must be `"tanh"` or `"linear"`.
            Defaults to `None`.
        odd: Bool. Whether the update flips its sign with the gradients, and a
            coordinate that never had a gradient stays exactly where it is.
            Policies stored before there was this argument have `False`.
            Defaults to `True`.
        **kwargs: `name` and `dtype`, as in `Policy`.

    Example:

    >>> rule = keras_l2o.policies.LSTM(units=(4,))
    >>> optimizer = keras_l2o.LearnedOptimizer(rule)

    Reference:
        - [Andrychowicz et al., 2016](https://arxiv.org/abs/1606.04474)
    """

    former = {"layers": "units"}
    later = {"odd": False}
    own_program = True

    def __init__(
        self,
        units: Sequence[int] = (20, 20),
        learning_rate: float = 0.1,
        cell_options: Mapping[str, Any] | None = None,
        odd: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.learning_rate = check_number("learning_rate", learning_rate)
        self.odd = check_flag("odd", odd)
        self.stack = RecurrentStack(
            units,
            cell_options,
            odd=self.odd,
            dtype=self.dtype_policy,
            name="lstm",
        )
        self.readout = keras.layers.Dense(
            1,
            use_bias=not self.odd,
            dtype=self.dtype_policy,
            name="readout",
        )

    def build(self, input_shape: Any = None) -> None:
        self.stack.build(1)
        self.readout.build((None, self.stack.output_width))
        self.built = True

    def tensor_state(self, parameter: Tensor) -> Nest:
        return LSTMState(self.stack.initial_state(tuple(parameter.shape)))

    def tensor_update(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> tuple[Tensor, Nest]:
        shape = tuple(gradient.shape)
        features = ops.reshape(gradient, (1, math.prod(shape)))
        features, recurrent = self.stack.step(features, state.recurrent)
        update = self.learning_rate * linear(self.readout, features)
        return ops.reshape(update, shape), LSTMState(recurrent)

    def tensor_warm_up(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> Nest:
        return state

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "units": list(self.stack.units),
            "learning_rate": self.learning_rate,
            "cell_options": dict(self.stack.cell_options),
            "odd": self.odd,
        }
