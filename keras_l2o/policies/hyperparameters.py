"""Numbers of a rule that can be made trainable."""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.coordinatewise import CoordinatewisePolicy
from keras_l2o.policies.moments import check_decay
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor

DECAYS = ("beta", "beta_1", "beta_2", "rho")


class AnalyticPolicy(CoordinatewisePolicy):
    """Base class of hand-designed rules, whose numbers can be made trainable.

    A trainable number is a weight of the policy, so that `MetaTrainer` can
    find, for example, Adam's best rate by gradient descent. The weight is the
    logit of a decay, and the logarithm of any other number: whatever its
    value, the number stays in its range.

    Args:
        hyperparameters: Dict from names to floats.
        trainable_hyperparameters: List of names of those to be trained, or
            `True` for all. Defaults to `()`, a policy without weights.
        **kwargs: `name` and `dtype`, as in `Policy`.
    """

    def __init__(
        self,
        hyperparameters: Mapping[str, float],
        trainable_hyperparameters: Sequence[str] | bool = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        #: The numbers that were given; training starts from them.
        self.hyperparameters = {
            name: _check(name, value) for name, value in hyperparameters.items()
        }
        self.trainable_hyperparameters = _names(
            trainable_hyperparameters, self.hyperparameters
        )
        self._raw: dict[str, keras.Variable] = {}

    def build(self, input_shape: Any = None) -> None:
        for name in self.trainable_hyperparameters:
            value = self.hyperparameters[name]
            raw = math.log(value / (1 - value) if name in DECAYS else value)
            self._raw[name] = self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(raw),
                name=name,
            )
        self.built = True

    def hyperparameter(self, name: str) -> float | Tensor:
        """The present value of a number.

        Args:
            name: String, such as `"learning_rate"`.

        Returns:
            Float, or a scalar tensor if the number is trainable.
        """
        if name not in self.trainable_hyperparameters:
            return self.hyperparameters[name]
        raw = self._raw[name]
        return ops.sigmoid(raw) if name in DECAYS else ops.exp(raw)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            **self.hyperparameters,
            "trainable_hyperparameters": list(self.trainable_hyperparameters),
        }


def _check(name, value):
    if name in DECAYS:
        return check_decay(name, value)
    least = 0.0 if name == "epsilon" else -math.inf
    return check_number(name, value, least=least)


def _names(chosen, hyperparameters):
    if chosen is True:
        chosen = tuple(hyperparameters)
    elif not isinstance(chosen, (list, tuple)):
        raise ValueError(
            "Argument `trainable_hyperparameters` must be a list of names or "
            f"`True`. Received: trainable_hyperparameters={chosen!r}"
        )
    for name in chosen:
        if name not in hyperparameters:
            raise ValueError(
                "Argument `trainable_hyperparameters` must name some of "
                f"{', '.join(hyperparameters)}. Received: {name!r}"
            )
        if not hyperparameters[name] > 0.0:
            raise ValueError(
                f"Argument `{name}` must be positive to be trainable. "
                f"Received: {name}={hyperparameters[name]}"
            )
    return tuple(chosen)
