"""Any rule, with its update along a cosine over the horizon."""

import math
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.keras_optimizer import as_policy
from keras_l2o.policies.policy import Horizon
from keras_l2o.policies.policy import Policy
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.policy import float_step
from keras_l2o.policies.policy import no_horizon
from keras_l2o.policies.policy import told
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor


class CosineSharedState(NamedTuple):
    horizon: Horizon
    rule: Any  # the rule's own shared state


@keras.saving.register_keras_serializable(package="keras_l2o")
class Cosine(Policy):
    """A rule whose update warms up and then falls along a cosine to zero.

    At a step before which a share `p` of the training lies, the rule's update
    is multiplied by a factor: in the warm-up it rises linearly to 1, and after
    it, it is `0.5 * (1 + cos(pi * (p - warmup) / (1 - warmup)))`. If the
    horizon is not known, the update stays as it is.

    Args:
        rule: A policy, or a Keras optimizer with a fixed learning rate.
        warmup: Float in `[0, 1)`. The share of the training in which the
            factor rises from zero. Defaults to `0.0`.
        **kwargs: `name`, which defaults to the rule's own, and `dtype`, as in
            `Policy`.

    Raises:
        ValueError: `warmup` is out of its range.

    Example:

    >>> from keras_l2o import policies
    >>> rule = policies.Cosine(policies.SGD(1.0))
    >>> state = rule.initial_state([np.zeros(1)])
    >>> state = rule.with_horizon(state, policies.Horizon(0, 2))
    >>> for step in range(2):
    ...     [update], state = rule.update([np.ones(1)], [np.zeros(1)], state)
    >>> f"{float(update[0]):.2f}"  # half of the training lies behind
    '0.50'

    Reference:
        - [Loshchilov and Hutter, 2017](https://arxiv.org/abs/1608.03983)
    """

    reads_horizon = True

    def __init__(self, rule: Any, warmup: float = 0.0, **kwargs: Any) -> None:
        rule = as_policy(rule)
        kwargs.setdefault("name", rule.name)
        super().__init__(**kwargs)
        self.rule = rule
        self.warmup = check_number("warmup", warmup, least=0.0)
        if self.warmup >= 1.0:
            raise ValueError(
                "Argument `warmup` must be below 1, a share of the training. "
                f"Received: warmup={warmup}"
            )

    def build(self, input_shape: Any = None) -> None:
        if not self.rule.built:
            self.rule.build(None)
        self.built = True

    def initial_state(self, parameters: Sequence[Tensor]) -> PolicyState:
        state = self.rule.initial_state(parameters)
        return state._replace(
            shared=CosineSharedState(no_horizon(), state.shared)
        )

    def with_horizon(self, state: PolicyState, horizon: Horizon) -> PolicyState:
        horizon = told(horizon)
        inner = self.rule.with_horizon(self._inner(state), horizon)
        return inner._replace(shared=CosineSharedState(horizon, inner.shared))

    def update(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
        training: bool = False,
    ) -> tuple[list[Tensor | None], PolicyState]:
        factor = self._factor(state)
        updates, inner = self.rule.update(
            gradients, parameters, self._inner(state), training
        )
        updates = [
            None if update is None else update * ops.cast(factor, update.dtype)
            for update in updates
        ]
        return updates, inner._replace(
            shared=state.shared._replace(rule=inner.shared)
        )

    def warm_up(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
    ) -> PolicyState:
        inner = self.rule.warm_up(gradients, parameters, self._inner(state))
        return inner._replace(shared=state.shared._replace(rule=inner.shared))

    def _inner(self, state):
        return state._replace(shared=state.shared.rule)

    def _factor(self, state):
        """Scalar by which the update of the next step is multiplied."""
        horizon = state.shared.horizon
        step, first, total = (
            float_step(number, self.variable_dtype)
            for number in (state.step, horizon.first, horizon.total)
        )
        # The first step of a warm-up is not to be zero.
        past = (step - first) / ops.maximum(total, 1.0)
        rising = (step - first + 1.0) / ops.maximum(total * self.warmup, 1.0)
        share = (past - self.warmup) / (1.0 - self.warmup)
        wave = 0.5 * (1.0 + ops.cos(math.pi * ops.clip(share, 0.0, 1.0)))
        factor = ops.where(past < self.warmup, ops.minimum(rising, 1.0), wave)
        return ops.where(total > 0, factor, ops.ones_like(factor))

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "rule": keras.saving.serialize_keras_object(self.rule),
            "warmup": self.warmup,
        }

    @classmethod
    def from_config(cls, config: Config) -> "Cosine":
        rule = keras.saving.deserialize_keras_object(config["rule"])
        return cls(**{**config, "rule": rule})
