"""What rules that combine other rules have in common."""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o.policies.former import current
from keras_l2o.policies.keras_optimizer import as_policy
from keras_l2o.policies.policy import Horizon
from keras_l2o.policies.policy import Policy
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.policy import next_step
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor


class PoolSharedState(NamedTuple):
    pool: tuple  # each member's shared state
    noise_key: Any  # int32 scalar, drawn at the first step


class PoolPolicy(Policy):
    """Base class of rules that combine other rules, the members of a pool.

    The state of each parameter has an attribute `pool`, the tuple of the
    members' states, and the shared state is a `PoolSharedState`.

    Args:
        pool: List of policies, or of Keras optimizers. Their trainable weights
            are weights of this policy, too.
        **kwargs: `name` and `dtype`, as in `Policy`.

    Raises:
        ValueError: The pool is empty or not a list.
    """

    def __init__(
        self, pool: Sequence[Policy | keras.optimizers.Optimizer], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(pool, (list, tuple)) or not pool:
            raise ValueError(
                "Argument `pool` must be a list of at least one policy or "
                f"Keras optimizer. Received: pool={pool!r}"
            )
        self.pool = [as_policy(member) for member in pool]

    @property
    def reads_horizon(self) -> bool:  # type: ignore[override]
        return any(member.reads_horizon for member in self.pool)

    def with_horizon(self, state: PolicyState, horizon: Horizon) -> PolicyState:
        members = [
            member.with_horizon(member_state, horizon)
            for member, member_state in zip(self.pool, _by_member(state))
        ]
        shared = tuple(member.shared for member in members)
        return state._replace(shared=state.shared._replace(pool=shared))

    @property
    def pool_names(self) -> list[str]:
        """The names of the members, in their order.

        If two members have the same name, the second has a number behind it.
        """
        names = []
        for member in self.pool:
            name, count = member.name, 1
            while name in names:
                count += 1
                name = f"{member.name}_{count}"
            names.append(name)
        return names

    def build(self, input_shape: Any = None) -> None:
        for member in self.pool:
            if not member.built:
                member.build(None)
        self.built = True

    def pool_initial_state(
        self, parameters: Sequence[Tensor]
    ) -> tuple[tuple[Any, ...], PoolSharedState]:
        """The members' states before the first step.

        Args:
            parameters: List of tensors or variables; only shapes are used.

        Returns:
            Tuple over parameters of the tuple of the members' states, and the
            `PoolSharedState`.
        """
        pool, shared = _by_tensor(
            [member.initial_state(parameters) for member in self.pool]
        )
        return pool, PoolSharedState(shared, ops.zeros((), "int32"))

    def pool_update(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
        training: bool,
    ) -> tuple[list[Tensor | None], tuple[Any, ...], PoolSharedState]:
        """Makes one step with every member.

        Args:
            gradients: List of tensors, `None` for a parameter without one.
            parameters: List of tensors of the same shapes.
            state: The `PolicyState` before the step.
            training: Bool, as in `update`.

        Returns:
            List over parameters of the members' updates, a tensor
            `(pool, coordinates)` or `None`; tuple over parameters of the tuple
            of the members' new states; and the new `PoolSharedState`.
        """
        updates, states = [], []
        for member, member_state in zip(self.pool, _by_member(state)):
            update, new = member.update(
                gradients, parameters, member_state, training
            )
            updates.append(update)
            states.append(new)
        stacked = [
            None
            if gradient is None
            else ops.stack([self._flat(update) for update in row])
            for gradient, row in zip(gradients, zip(*updates))
        ]
        pool, shared = _by_tensor(states)
        return stacked, pool, PoolSharedState(shared, _key(state, parameters))

    def warm_up(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
    ) -> PolicyState:
        pool, shared = _by_tensor(
            [
                member.warm_up(gradients, parameters, member_state)
                for member, member_state in zip(self.pool, _by_member(state))
            ]
        )
        return PolicyState(
            next_step(state.step),
            tuple(
                tensor._replace(pool=states)
                for tensor, states in zip(state.tensors, pool)
            ),
            PoolSharedState(shared, _key(state, parameters)),
        )

    def _flat(self, tensor):
        return ops.reshape(ops.cast(tensor, self.variable_dtype), (-1,))

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "pool": [
                keras.saving.serialize_keras_object(member)
                for member in self.pool
            ],
        }

    @classmethod
    def from_config(cls, config: Config) -> "PoolPolicy":
        pool = [
            keras.saving.deserialize_keras_object(member)
            for member in config["pool"]
        ]
        for member in pool:
            if not isinstance(member, Policy):
                raise ValueError(
                    "A pool's config must hold policies. Received: "
                    f"{type(member).__name__}"
                )
        return cls(**{**current(cls, config), "pool": pool})


def _key(state, parameters):
    """The key of an episode's noise, computed from its first parameters.

    Two episodes start from different parameters, so their keys differ. The
    sum is one of integers, which does not depend on the order of its terms,
    nor so on how the step was compiled.
    """
    drawn = ops.zeros((), "int32")
    for parameter in parameters:
        value = ops.clip(ops.cast(parameter, "float32"), -1e4, 1e4)
        bits = ops.cast(value * 2.0**16, "int32")
        drawn = drawn + ops.cast(ops.sum(bits), "int32")
    return ops.where(state.step == 0, drawn, state.shared.noise_key)


def _by_tensor(states):
    """Regroups the members' states: by parameter, and those that are shared."""
    return (
        tuple(zip(*(state.tensors for state in states))),
        tuple(state.shared for state in states),
    )


def _by_member(state):
    """The `PolicyState` of each member: the reverse of `_by_tensor`."""
    return [
        PolicyState(
            state.step,
            tuple(tensor.pool[index] for tensor in state.tensors),
            shared,
        )
        for index, shared in enumerate(state.shared.pool)
    ]
