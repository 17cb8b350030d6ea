import math
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.policy import CoordinatewisePolicy
from keras_l2o.policies.recurrent import RecurrentStack
from keras_l2o.policies.recurrent import linear


class LSTMState(NamedTuple):
    recurrent: Any  # per layer: hidden and cell, units, then the shape


@keras.saving.register_keras_serializable(package="keras_l2o")
class LSTM(CoordinatewisePolicy):
    """An LSTM per coordinate that reads the gradient alone.

    The update is `learning_rate * dense(lstm(g))`: the first learned
    optimizer, and the baseline of those that came after.

    Args:
        units: Tuple of ints. Widths of the LSTM layers. Defaults to
            `(20, 20)`.
        learning_rate: Float. Scale of the update. Defaults to `0.1`.
        cell_options: Dict of further arguments of `keras.layers.LSTMCell`.
            Defaults to none.

    Reference:
        - [Andrychowicz et al., 2016](https://arxiv.org/abs/1606.04474)
    """

    former = {"layers": "units"}

    def __init__(
        self, units=(20, 20), learning_rate=0.1, cell_options=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.learning_rate = check_number("learning_rate", learning_rate)
        self.stack = RecurrentStack(
            units, cell_options, dtype=self.dtype_policy, name="lstm"
        )
        self.readout = keras.layers.Dense(
            1, dtype=self.dtype_policy, name="readout"
        )

    def build(self, input_shape=None):
        self.stack.build(1)
        self.readout.build((None, self.stack.output_width))
        self.built = True

    def tensor_state(self, parameter):
        return LSTMState(self.stack.initial_state(tuple(parameter.shape)))

    def tensor_update(self, gradient, parameter, state, step):
        shape = tuple(gradient.shape)
        features = ops.reshape(gradient, (1, math.prod(shape)))
        features, recurrent = self.stack.step(features, state.recurrent)
        update = self.learning_rate * linear(self.readout, features)
        return ops.reshape(update, shape), LSTMState(recurrent)

    def tensor_warm_up(self, gradient, parameter, state, step):
        return state

    def get_config(self):
        return {
            **super().get_config(),
            "units": list(self.stack.units),
            "learning_rate": self.learning_rate,
            "cell_options": self.stack.cell_options,
        }
