"""Rules that learn the rate of each coordinate and keep a fixed direction."""

import keras
from keras import ops

from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.moment_network import MomentNetwork


class LearnedRate(MomentNetwork):
    """Base class: a direction times `learning_rate * exp(dense(lstm(...)))`."""

    former = {"layers": "units", "alpha": "learning_rate"}

    def __init__(self, units=(20, 20), learning_rate=0.1, **kwargs):
        super().__init__(units, **kwargs)
        self.learning_rate = check_number("learning_rate", learning_rate)

    def rate(self, output):
        return self.learning_rate * ops.exp(output)

    def get_config(self):
        return {**super().get_config(), "learning_rate": self.learning_rate}


@keras.saving.register_keras_serializable(package="keras_l2o")
class AdamLR(LearnedRate):
    """Adam with a learned rate per coordinate and step.

    The update is `learning_rate * exp(network) * mhat / sqrt(vhat)`, where the
    network is RNNProp's.

    Args:
        units: Tuple of ints. Widths of the LSTM layers. Defaults to
            `(20, 20)`.
        learning_rate: Float. The rate where the network says zero. Defaults to
            `0.1`.
        beta_1, beta_2, epsilon, bias_correction, cell_options,
            warm_up_recurrent: As in `RNNProp`.
    """

    def rule(self, output, adam, rmsprop):
        return self.rate(output) * adam


@keras.saving.register_keras_serializable(package="keras_l2o")
class RMSPropLR(LearnedRate):
    """RMSprop with a learned rate per coordinate and step.

    The update is `learning_rate * exp(network) * g / sqrt(vhat)`, where the
    network is RNNProp's.

    Args:
        units: Tuple of ints. Widths of the LSTM layers. Defaults to
            `(20, 20)`.
        learning_rate: Float. The rate where the network says zero. Defaults to
            `0.1`.
        beta_1, beta_2, epsilon, bias_correction, cell_options,
            warm_up_recurrent: As in `RNNProp`.
    """

    def rule(self, output, adam, rmsprop):
        return self.rate(output) * rmsprop
