import math
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_l2o import numerics
from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.arguments import check_widths
from keras_l2o.policies.moments import average
from keras_l2o.policies.moments import check_decay
from keras_l2o.policies.moments import corrected_average
from keras_l2o.policies.policy import CoordinatewisePolicy
from keras_l2o.policies.recurrent import linear

#: Decays of the momenta that the network reads. The second is Adam's.
DECAYS = (0.5, 0.9, 0.99)
ADAM = 1
#: Steps at which each of the time features passes zero.
TIMES = np.geomspace(1.0, 3000.0, 8)


class FeatureMLPState(NamedTuple):
    momenta: tuple  # per decay, the parameter's shape
    second: Any  # the parameter's shape


@keras.saving.register_keras_serializable(package="keras_l2o")
class FeatureMLP(CoordinatewisePolicy):
    """Adam, with a small network per coordinate that corrects its update.

    The update is `learning_rate * exp(m) * (adam + d)`. The network gives the
    direction's correction `d` and the logarithm `m` of the magnitude's, from
    momenta at three decays and the gradient, each over the root of the mean
    square, and from the time on a logarithmic scale. Its last layer starts at
    zero: an untrained one is Adam. Beside the few hundred weights, it keeps
    four numbers for each parameter where an LSTM keeps some eighty.

    Args:
        learning_rate: Float. Rate of the Adam that it starts at. Defaults to
            `0.03`.
        units: Tuple of ints. Widths of the hidden layers. Defaults to
            `(8, 8)`.
        beta_2: Float in `[0, 1)`. Decay of the mean square. Defaults to
            `0.999`.
        epsilon: Float. Added inside the root. Defaults to `1e-10`.

    Reference:
        - [Metz et al., 2022](https://arxiv.org/abs/2203.11860), whose
          `small_fc_lopt` is of this kind.
    """

    former = {"layers": "units"}

    def __init__(
        self,
        learning_rate=0.03,
        units=(8, 8),
        beta_2=0.999,
        epsilon=1e-10,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.learning_rate = check_number("learning_rate", learning_rate)
        self.beta_2 = check_decay("beta_2", beta_2)
        self.epsilon = check_number("epsilon", epsilon, least=0.0)
        self.units = check_widths("units", units)
        self.hidden = [
            keras.layers.Dense(
                width,
                activation="relu",
                dtype=self.dtype_policy,
                name=f"hidden_{index}",
            )
            for index, width in enumerate(self.units)
        ]
        self.readout = keras.layers.Dense(
            2,
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            name="readout",
        )

    def build(self, input_shape=None):
        width = len(DECAYS) + 1 + len(TIMES)
        for layer in (*self.hidden, self.readout):
            layer.build((None, width))
            width = layer.units
        self.built = True

    def tensor_state(self, parameter):
        return FeatureMLPState(
            tuple(self.zeros(parameter) for _ in DECAYS), self.zeros(parameter)
        )

    def tensor_update(self, gradient, parameter, state, step):
        state = self.tensor_warm_up(gradient, parameter, state, step)
        scale = numerics.inverse_root(
            corrected_average(state.second, self.beta_2, step), self.epsilon
        )
        directions = [
            corrected_average(momentum, decay, step) * scale
            for decay, momentum in zip(DECAYS, state.momenta)
        ]
        shape = tuple(gradient.shape)
        output = self._network(
            ops.reshape(
                ops.tanh(ops.stack([*directions, gradient * scale])),
                (len(DECAYS) + 1, math.prod(shape)),
            ),
            step,
        )
        correction, log_magnitude = (
            ops.reshape(output[index], shape) for index in range(2)
        )
        magnitude = self.learning_rate * ops.exp(log_magnitude)
        return magnitude * (directions[ADAM] + correction), state

    def _network(self, features, step):
        """The two corrections of each column of `(features, coordinates)`."""
        times = ops.convert_to_tensor(TIMES, step.dtype)
        time = ops.tanh(step / times - 1.0)
        time = ops.cast(time, self.variable_dtype)
        # Time is the same for all: to the first layer, a part of its bias.
        first, *others = self.hidden
        width = features.shape[0]
        bias = first.bias + ops.matmul(time, first.kernel[width:])
        output = ops.matmul(ops.transpose(first.kernel[:width]), features)
        output = ops.relu(output + bias[:, None])
        for layer in others:
            output = ops.relu(linear(layer, output))
        return linear(self.readout, output)

    def tensor_warm_up(self, gradient, parameter, state, step):
        return FeatureMLPState(
            tuple(
                average(momentum, gradient, decay)
                for decay, momentum in zip(DECAYS, state.momenta)
            ),
            average(state.second, ops.square(gradient), self.beta_2),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "units": list(self.units),
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
