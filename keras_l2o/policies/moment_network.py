import math
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import numerics
from keras_l2o.policies.arguments import check_flag
from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.moments import Moments
from keras_l2o.policies.moments import average_moments
from keras_l2o.policies.moments import check_bias_correction
from keras_l2o.policies.moments import check_decay
from keras_l2o.policies.moments import corrected
from keras_l2o.policies.policy import CoordinatewisePolicy
from keras_l2o.policies.recurrent import RecurrentStack
from keras_l2o.policies.recurrent import linear


class MomentNetworkState(NamedTuple):
    moments: Moments
    recurrent: Any  # per layer: hidden and cell, units, then the shape


class MomentNetwork(CoordinatewisePolicy):
    """Base class of LSTMs that read Adam's and RMSprop's directions.

    A subclass implements `rule`, and `features` if it reads more.

    Args:
        units: Tuple of ints. Widths of the LSTM layers.
        beta_1, beta_2: Floats in `[0, 1)`. Decays of the moments.
        epsilon: Float. Added inside the root.
        bias_correction: `"paper"`, `"constant"` (the 2021 code's) or `None`.
        cell_options: Dict of further arguments of `keras.layers.LSTMCell`.
        warm_up_recurrent: Bool. Whether the LSTM, too, reads the gradients of
            the steps that another rule makes. Defaults to `False`.
        feed_all: Bool. Whether every layer, and the readout, reads the
            features again. Defaults to `False`.
        readout_initializer: Initializer of the readout's kernel. Defaults to
            Keras's.
    """

    former = {"layers": "units"}

    #: How many features `features` gives.
    width = 2

    def __init__(
        self,
        units=(20, 20),
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-10,
        bias_correction="paper",
        cell_options=None,
        warm_up_recurrent=False,
        feed_all=False,
        readout_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.beta_1 = check_decay("beta_1", beta_1)
        self.beta_2 = check_decay("beta_2", beta_2)
        self.epsilon = check_number("epsilon", epsilon, least=0.0)
        self.bias_correction = check_bias_correction(bias_correction)
        self.warm_up_recurrent = check_flag(
            "warm_up_recurrent", warm_up_recurrent
        )
        self.stack = RecurrentStack(
            units, cell_options, feed_all, dtype=self.dtype_policy, name="lstm"
        )
        self.readout = keras.layers.Dense(
            1,
            kernel_initializer=readout_initializer,
            dtype=self.dtype_policy,
            name="readout",
        )

    def features(self, gradient, adam, rmsprop):
        """List of `width` tensors that the network reads.

        Args:
            gradient: Tensor.
            adam: Tensor, the corrected mean over the root of the corrected
                mean square.
            rmsprop: Tensor, the gradient over the same root.
        """
        return [adam, rmsprop]

    def rule(self, output, adam, rmsprop):
        """The update, from the network's output of the same shape."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement `rule`."
        )

    def build(self, input_shape=None):
        self.stack.build(self.width)
        self.readout.build((None, self.stack.output_width))
        self.built = True

    def tensor_state(self, parameter):
        return MomentNetworkState(
            Moments(self.zeros(parameter), self.zeros(parameter)),
            self.stack.initial_state(tuple(parameter.shape)),
        )

    def tensor_update(self, gradient, parameter, state, step):
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
        features, recurrent = self.stack.step(features, state.recurrent)
        output = ops.reshape(linear(self.readout, features), shape)
        update = self.rule(output, adam, rmsprop)
        return update, MomentNetworkState(moments, recurrent)

    def tensor_warm_up(self, gradient, parameter, state, step):
        if self.warm_up_recurrent:
            return self.tensor_update(gradient, parameter, state, step)[1]
        return state._replace(
            moments=average_moments(
                state.moments, gradient, self.beta_1, self.beta_2
            )
        )

    def get_config(self):
        return {
            **super().get_config(),
            "units": list(self.stack.units),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "bias_correction": self.bias_correction,
            "cell_options": self.stack.cell_options,
            "warm_up_recurrent": self.warm_up_recurrent,
        }
