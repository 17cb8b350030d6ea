import keras
from keras import ops

from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.moment_network import MomentNetwork


@keras.saving.register_keras_serializable(package="keras_l2o")
class RNNProp(MomentNetwork):
    """An LSTM per coordinate that reads Adam's and RMSprop's directions.

    The update is `learning_rate * tanh(dense(lstm([mhat / sqrt(vhat),
    g / sqrt(vhat)])))`: bounded by the rate, and blind to the gradient's scale.

    Args:
        units: Tuple of ints. Widths of the LSTM layers. Defaults to
            `(20, 20)`.
        learning_rate: Float. Bound of a coordinate's update, the paper's
            alpha. Defaults to `0.1`.
        beta_1: Float in `[0, 1)`. Decay of the mean. Defaults to `0.9`.
        beta_2: Float in `[0, 1)`. Decay of the mean square. Defaults to
            `0.999`.
        epsilon: Float. Added inside the root. Defaults to `1e-10`.
        bias_correction: `"paper"`, `"constant"` (the 2021 code's) or `None`.
            Defaults to `"paper"`.
        cell_options: Dict of further arguments of `keras.layers.LSTMCell`.
            Defaults to none.
        warm_up_recurrent: Bool. Whether the LSTM, too, reads the gradients of
            the warm-up's steps, as the moments do. Defaults to `False`.

    Reference:
        - [Lv et al., 2017](https://arxiv.org/abs/1703.03633)
    """

    former = {"layers": "units", "alpha": "learning_rate"}

    def __init__(self, units=(20, 20), learning_rate=0.1, **kwargs):
        super().__init__(units, **kwargs)
        self.learning_rate = check_number("learning_rate", learning_rate)

    def rule(self, output, adam, rmsprop):
        return self.learning_rate * ops.tanh(output)

    def get_config(self):
        return {**super().get_config(), "learning_rate": self.learning_rate}


@keras.saving.register_keras_serializable(package="keras_l2o")
class RNNPropExtended(MomentNetwork):
    """RNNProp that also reads the gradient, and feeds its inputs everywhere.

    Gradient, `mhat / sqrt(vhat)` and `g / sqrt(vhat)` go into every LSTM layer
    and into the readout, which starts at zero: an untrained one stands still.

    Args:
        units: Tuple of ints. Widths of the LSTM layers. Defaults to
            `(20, 20)`.
        learning_rate: Float. Bound of a coordinate's update. Defaults to
            `0.001`.
        beta_1, beta_2, epsilon, bias_correction, cell_options,
            warm_up_recurrent: As in `RNNProp`.
    """

    width = 3

    def __init__(self, units=(20, 20), learning_rate=0.001, **kwargs):
        super().__init__(
            units, feed_all=True, readout_initializer="zeros", **kwargs
        )
        self.learning_rate = check_number("learning_rate", learning_rate)

    def features(self, gradient, adam, rmsprop):
        return [gradient, adam, rmsprop]

    def rule(self, output, adam, rmsprop):
        return self.learning_rate * ops.tanh(output)

    def get_config(self):
        return {**super().get_config(), "learning_rate": self.learning_rate}
