"""A random choice among the updates of other rules."""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import numerics
from keras_l2o.policies.arguments import check_count
from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.policy import Policy
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.policy import next_step
from keras_l2o.policies.pool import PoolPolicy
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor


class RandomChoiceTensorState(NamedTuple):
    pool: tuple  # each member's state of this parameter


@keras.saving.register_keras_serializable(package="keras_l2o")
class RandomChoice(PoolPolicy):
    """Takes the update of a random member of a pool, anew for each coordinate.

    It is there to be compared with `Choice`: it shows how well the same pool
    does if nothing chooses among its members.

    Args:
        pool: List of policies, or of Keras optimizers.
        learning_rate: Float. Scale of the update. Defaults to `1.0`.
        seed: Int. Seed of the draws. Defaults to `0`.
        **kwargs: `name` and `dtype`, as in `Policy`.

    Example:

    >>> from keras_l2o import policies
    >>> drawn = policies.RandomChoice([policies.SGD(1.0), policies.SGD(2.0)])
    >>> state = drawn.initial_state([np.zeros(100)])
    >>> [update], state = drawn.update(
    ...     [np.ones(100)], [np.zeros(100)], state)
    >>> sorted(set(np.array(update).tolist()))
    [1.0, 2.0]
    """

    def __init__(
        self,
        pool: Sequence[Policy | keras.optimizers.Optimizer],
        learning_rate: float = 1.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool, **kwargs)
        self.learning_rate = check_number("learning_rate", learning_rate)
        self.seed = check_count("seed", seed)

    def initial_state(self, parameters: Sequence[Tensor]) -> PolicyState:
        pool, shared = self.pool_initial_state(parameters)
        return PolicyState(
            step=ops.zeros((), "int32"),
            tensors=tuple(RandomChoiceTensorState(states) for states in pool),
            shared=shared,
        )

    def update(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
        training: bool = False,
    ) -> tuple[list[Tensor | None], PolicyState]:
        members, pool, shared = self.pool_update(
            gradients, parameters, state, training
        )
        keys = [self.seed, shared.noise_key, state.step]
        updates = [
            None
            if member is None
            else ops.reshape(
                self._draw(member, [*keys, index]), parameters[index].shape
            )
            for index, member in enumerate(members)
        ]
        tensors = tuple(RandomChoiceTensorState(states) for states in pool)
        return updates, PolicyState(next_step(state.step), tensors, shared)

    def _draw(self, members, keys):
        """One row of `(pool, coordinates)` for each column."""
        size, coordinates = members.shape
        uniform = numerics.counter_uniform(keys, coordinates)
        chosen = ops.one_hot(
            ops.cast(uniform * size, "int32"),
            size,
            axis=0,
            dtype=members.dtype,
        )
        return self.learning_rate * ops.sum(chosen * members, axis=0)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "seed": self.seed,
        }
