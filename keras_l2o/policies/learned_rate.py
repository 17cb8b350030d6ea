"""Rules that learn the rate of each coordinate and keep a fixed direction."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.moment_network import MomentNetwork
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor


class LearnedRate(MomentNetwork):
    """Base class: a direction times `learning_rate * exp(dense(lstm(...)))`."""

    former = {"layers": "units", "alpha": "learning_rate"}
    even_output = True

    def __init__(
        self,
        units: Sequence[int] = (20, 20),
        learning_rate: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        self.learning_rate = check_number("learning_rate", learning_rate)

    def rate(self, output: Tensor) -> Tensor:
        """The rate of each coordinate.

        Args:
            output: Tensor, the network's output.

        Returns:
            Tensor of the same shape.
        """
        return self.learning_rate * ops.exp(output)

    def get_config(self) -> Config:
        return {**super().get_config(), "learning_rate": self.learning_rate}


@keras.saving.register_keras_serializable(package="keras_l2o")
class AdamLR(LearnedRate):
    """Adam with a learned rate per coordinate and step.

    The update is `learning_rate * exp(network) * mhat / sqrt(vhat)`, where the
    network is RNNProp's, but for what it reads: see `odd`.

    Args:
        units: Tuple of ints. Widths of the LSTM layers. Defaults to
            `(20, 20)`.
        learning_rate: Float. The rate where the output of the network is zero.
            Defaults to `0.1`.
        **kwargs: `odd`, which says whether the network reads absolute values,
            so that the rate does not depend on signs (defaults to `True`;
            policies stored before there was this argument have `False`);
            `cell_options`, any of `keras.layers.LSTMCell`'s; `beta_1`,
            `beta_2`, `epsilon`, `bias_correction` and `warm_up_recurrent`, as
            in `RNNProp`; `name` and `dtype`, as in `Policy`.

    Example:

    >>> rule = keras_l2o.policies.AdamLR(units=(4,))
    >>> optimizer = keras_l2o.LearnedOptimizer(rule)
    """

    def rule(self, output: Tensor, adam: Tensor, rmsprop: Tensor) -> Tensor:
        return self.rate(output) * adam


@keras.saving.register_keras_serializable(package="keras_l2o")
class RMSPropLR(LearnedRate):
    """RMSprop with a learned rate per coordinate and step.

    The update is `learning_rate * exp(network) * g / sqrt(vhat)`, where the
    network is RNNProp's, but for what it reads: see `odd`.

    Args:
        units: Tuple of ints. Widths of the LSTM layers. Defaults to
            `(20, 20)`.
        learning_rate: Float. The rate where the output of the network is zero.
            Defaults to `0.1`.
        **kwargs: `odd`, which says whether the network reads absolute values,
            so that the rate does not depend on signs (defaults to `True`;
            policies stored before there was this argument have `False`);
            `cell_options`, any of `keras.layers.LSTMCell`'s; `beta_1`,
            `beta_2`, `epsilon`, `bias_correction` and `warm_up_recurrent`, as
            in `RNNProp`; `name` and `dtype`, as in `Policy`.

    Example:

    >>> rule = keras_l2o.policies.RMSPropLR(units=(4,))
    >>> optimizer = keras_l2o.LearnedOptimizer(rule)
    """

    def rule(self, output: Tensor, adam: Tensor, rmsprop: Tensor) -> Tensor:
        return self.rate(output) * rmsprop
