"""RNNProp and a variant of it."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.moment_network import MomentNetwork
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_l2o")
class RNNProp(MomentNetwork):
    """RNNProp: an LSTM that reads Adam's and RMSprop's directions.

    The update of a coordinate is `learning_rate * tanh(dense(lstm([mhat /
    sqrt(vhat), g / sqrt(vhat)])))`, where `g` is the gradient, and `mhat` and
    `vhat` are the averages of Adam. So an update is never larger than
    `learning_rate`, and multiplying all gradients by a number changes nothing.
    All coordinates share one network; each has a state of its own.

    By default the network is odd: if the signs of all gradients flip, those of
    the updates do, and a coordinate that never had a gradient stays exactly
    where it is. The gates of the LSTM then read absolute values, and only they
    have biases. The paper's network is that of `odd=False`.

    Args:
        units: Tuple of ints. Widths of the LSTM layers. Defaults to
            `(20, 20)`.
        learning_rate: Float. Bound of a coordinate's update, the paper's
            alpha. Defaults to `0.1`.
        beta_1: Float in `[0, 1)`. Decay of the mean. Defaults to `0.9`.
        beta_2: Float in `[0, 1)`. Decay of the mean square. Defaults to
            `0.999`.
        epsilon: Float. Added inside the root. Defaults to `1e-10`.
        bias_correction: `"paper"`, `"constant"` (as in the code of Optimizer
            Amalgamation from 2021) or `None` for no correction. Defaults to
            `"paper"`.
        cell_options: Dict of further arguments of `keras.layers.LSTMCell`. With
            `odd=True` these are its activations, initializers and
            `unit_forget_bias`, and `activation` must be `"tanh"` or `"linear"`.
            Defaults to `None`.
        warm_up_recurrent: Bool. Whether the state of the LSTM, too, follows
            the gradients of warm-up steps, as the averages do. Defaults to
            `False`.
        odd: Bool. Whether the network is odd. Policies stored before there was
            this argument have `False`. Defaults to `True`.
        **kwargs: The arguments from `beta_1` on, which the base class takes,
            and `name` and `dtype`, as in `Policy`.

    Example:

    >>> policy = keras_l2o.policies.RNNProp(units=(4,))
    >>> policy.build()
    >>> policy.count_params()
    112

    Reference:
        - [Lv et al., 2017](https://arxiv.org/abs/1703.03633)
    """

    former = {"layers": "units", "alpha": "learning_rate"}

    def __init__(
        self,
        units: Sequence[int] = (20, 20),
        learning_rate: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        self.learning_rate = check_number("learning_rate", learning_rate)

    def rule(self, output: Tensor, adam: Tensor, rmsprop: Tensor) -> Tensor:
        return self.learning_rate * ops.tanh(output)

    def get_config(self) -> Config:
        return {**super().get_config(), "learning_rate": self.learning_rate}


@keras.saving.register_keras_serializable(package="keras_l2o")
class RNNPropExtended(MomentNetwork):
    """RNNProp that reads the gradient, too, in every layer.

    The gradient, `mhat / sqrt(vhat)` and `g / sqrt(vhat)` are inputs of every
    LSTM layer and of the last, dense layer. The weights of that layer start
    at zero, so that an untrained policy makes updates of zero.

    Args:
        units: Tuple of ints. Widths of the LSTM layers. Defaults to
            `(20, 20)`.
        learning_rate: Float. Bound of a coordinate's update. Defaults to
            `0.001`.
        **kwargs: `beta_1`, `beta_2`, `epsilon`, `bias_correction`,
            `cell_options`, `warm_up_recurrent` and `odd`, as in `RNNProp`;
            `name` and `dtype`, as in `Policy`.

    Example:

    >>> policy = keras_l2o.policies.RNNPropExtended(units=(4,))
    >>> state = policy.initial_state([np.zeros(1)])
    >>> policy.build()
    >>> [update], state = policy.update([np.ones(1)], [np.zeros(1)], state)
    >>> np.array(update).tolist()
    [0.0]
    """

    width = 3

    def __init__(
        self,
        units: Sequence[int] = (20, 20),
        learning_rate: float = 0.001,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, feed_all=True, readout_initializer="zeros", **kwargs
        )
        self.learning_rate = check_number("learning_rate", learning_rate)

    def features(
        self, gradient: Tensor, adam: Tensor, rmsprop: Tensor
    ) -> list[Tensor]:
        return [gradient, adam, rmsprop]

    def rule(self, output: Tensor, adam: Tensor, rmsprop: Tensor) -> Tensor:
        return self.learning_rate * ops.tanh(output)

    def get_config(self) -> Config:
        return {**super().get_config(), "learning_rate": self.learning_rate}
