"""A network that chooses among the updates of other rules."""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import numerics
from keras_l2o.policies.arguments import check_count
from keras_l2o.policies.arguments import check_flag
from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.policy import Policy
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.policy import float_step
from keras_l2o.policies.policy import next_step
from keras_l2o.policies.pool import PoolPolicy
from keras_l2o.policies.recurrent import RecurrentStack
from keras_l2o.policies.recurrent import linear
from keras_l2o.policies.rows import cut
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor

#: Tensors of rank 1, 2, and 3 or more are told apart.
RANKS = 3


class ChoiceTensorState(NamedTuple):
    pool: tuple  # each member's state of this parameter
    recurrent: Any  # per layer: hidden and cell, units, then the shape
    weights: Any  # (pool,), the means over coordinates in the last step


@keras.saving.register_keras_serializable(package="keras_l2o")
class Choice(PoolPolicy):
    """An LSTM that weighs the updates of a pool of rules.

    For each coordinate the network reads the update of every member of the
    pool, the number of the step, and the rank of the tensor that the
    coordinate is in. The update is `learning_rate * sum_i w_i u_i`, where the
    `u_i` are the members' updates and `w` is the softmax of the network's
    output. By default the network reads absolute values of the updates, so
    that the choice does not depend on signs.

    Args:
        pool: List of policies, or of Keras optimizers. Their trainable weights
            are trained together with the network.
        units: Tuple of ints. Widths of the LSTM layers. Defaults to
            `(20, 20)`.
        learning_rate: Float. Scale of the update. Defaults to `1.0`.
        time_scale: Float, in steps. At step `t` the network reads
            `t / time_scale` and `1 / (1 + t / time_scale)`. Defaults to
            `2000.0`.
        hardness: Float. If it is `0.0`, the weights are the softmax. If it is
            positive, the member with the largest weight is taken alone; while
            the policy itself is being trained, the weights are then a sample
            of the Gumbel-softmax at temperature `1 / hardness`. Defaults to
            `0.0`.
        rate_scale: Float. If it is positive, the network also multiplies the
            update of each member by a number between `exp(-rate_scale)` and
            `exp(rate_scale)`, which is 1 before training. Defaults to `0.0`,
            as does `None`.
        seed: Int. Seed of the Gumbel noise. Defaults to `0`.
        cell_options: Dict of further arguments of `keras.layers.LSTMCell`.
            Defaults to `None`.
        odd: Bool. Whether the network reads absolute values of the updates. If
            the members' updates flip their signs with the gradients, so does
            that of the policy. Policies stored before there was this argument
            have `False`. Defaults to `True`.
        **kwargs: `name` and `dtype`, as in `Policy`.

    Example:

    >>> from keras_l2o import policies
    >>> choice = policies.Choice([policies.Adam(0.02), policies.SGD(0.2)])
    >>> choice.pool_names
    ['adam', 'sgd']

    References:
        - [Huang et al., 2022](https://arxiv.org/abs/2203.06474)
        - [Jang et al., 2017](https://arxiv.org/abs/1611.01144)
    """

    former = {"layers": "units"}
    later = {"odd": False}

    def __init__(
        self,
        pool: Sequence[Policy | keras.optimizers.Optimizer],
        units: Sequence[int] = (20, 20),
        learning_rate: float = 1.0,
        time_scale: float = 2000.0,
        hardness: float = 0.0,
        rate_scale: float | None = 0.0,
        seed: int = 0,
        cell_options: Mapping[str, Any] | None = None,
        odd: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool, **kwargs)
        self.learning_rate = check_number("learning_rate", learning_rate)
        self.time_scale = check_number("time_scale", time_scale, above=0.0)
        self.hardness = check_number("hardness", hardness, least=0.0)
        self.rate_scale = check_number(
            "rate_scale", 0.0 if rate_scale is None else rate_scale, least=0.0
        )
        self.seed = check_count("seed", seed)
        self.odd = check_flag("odd", odd)
        self.stack = RecurrentStack(
            units, cell_options, dtype=self.dtype_policy, name="lstm"
        )
        self.readout = keras.layers.Dense(
            len(self.pool), dtype=self.dtype_policy, name="readout"
        )
        self.rates = None
        if self.rate_scale:
            self.rates = keras.layers.Dense(
                len(self.pool),
                kernel_initializer="zeros",
                dtype=self.dtype_policy,
                name="rates",
            )

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self.stack.build(len(self.pool) + 2 + RANKS)
        for layer in (self.readout, self.rates):
            if layer is not None:
                layer.build((None, self.stack.output_width))

    def initial_state(self, parameters: Sequence[Tensor]) -> PolicyState:
        pool, shared = self.pool_initial_state(parameters)
        uniform = 1.0 / len(self.pool)
        return PolicyState(
            step=ops.zeros((), "int32"),
            tensors=tuple(
                ChoiceTensorState(
                    states,
                    self.stack.initial_state(tuple(parameter.shape)),
                    ops.full((len(self.pool),), uniform, self.variable_dtype),
                )
                for parameter, states in zip(parameters, pool)
            ),
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
        tensors = [
            tensor._replace(pool=states)
            for tensor, states in zip(state.tensors, pool)
        ]
        updates = [None] * len(members)
        present = [i for i, member in enumerate(members) if member is not None]
        if present:
            shapes = [tuple(parameters[i].shape) for i in present]
            mixed, recurrent, weights = self._mix(
                [members[i] for i in present],
                shapes,
                [tensors[i].recurrent for i in present],
                state.step,
                shared.noise_key if training else None,
            )
            for row, index in enumerate(present):
                updates[index] = ops.reshape(mixed[row], shapes[row])
                tensors[index] = tensors[index]._replace(
                    recurrent=recurrent[row],
                    weights=ops.stop_gradient(ops.mean(weights[row], axis=1)),
                )
        return updates, PolicyState(
            next_step(state.step), tuple(tensors), shared
        )

    def _mix(self, members, shapes, recurrent, step, key):
        """Weighs the pool's updates, all coordinates in one network call.

        Args:
            members: List of `(pool, coordinates)`, a tensor each.
            shapes: List of the parameters' shapes.
            recurrent: List of the network's states.
            step: int32 scalar, steps made before.
            key: int32 scalar, the Gumbel noise's, or `None` for none.

        Returns:
            Lists over the tensors: updates `(coordinates,)`, new states, and
            weights `(pool, coordinates)`.
        """
        sizes = [math.prod(shape) for shape in shapes]
        updates = ops.concatenate(members, axis=1)
        read = ops.abs(updates) if self.odd else updates
        context = [
            ops.broadcast_to(
                self._context(shape, step)[:, None], (2 + RANKS, size)
            )
            for shape, size in zip(shapes, sizes)
        ]
        output, joined = self.stack.step(
            ops.concatenate([read, ops.concatenate(context, axis=1)]),
            keras.tree.map_structure(
                lambda *leaves: ops.concatenate(
                    [
                        ops.reshape(leaf, (leaf.shape[0], size))
                        for leaf, size in zip(leaves, sizes)
                    ],
                    axis=1,
                ),
                *recurrent,
            ),
        )
        weights = self._weigh(linear(self.readout, output), step, key)
        mixed = weights * updates
        if self.rates is not None:
            multiplier = ops.tanh(linear(self.rates, output))
            mixed = mixed * ops.exp(self.rate_scale * multiplier)
        mixed = self.learning_rate * ops.sum(mixed, axis=0)
        rows = zip(*(cut(x, sizes) for x in keras.tree.flatten(joined)))
        new_recurrent = [
            keras.tree.map_structure(
                lambda leaf, like: ops.reshape(leaf, like.shape),
                keras.tree.pack_sequence_as(old, row),
                old,
            )
            for row, old in zip(rows, recurrent)
        ]
        return cut(mixed, sizes), new_recurrent, cut(weights, sizes)

    def _context(self, shape, step):
        """Features that a tensor's coordinates share: time, and rank."""
        time = float_step(step, self.variable_dtype) / self.time_scale
        time = ops.cast(time, self.variable_dtype)
        rank = min(max(len(shape), 1), RANKS)
        one_hot = [float(rank == other + 1) for other in range(RANKS)]
        return ops.concatenate(
            [
                ops.stack([1.0 / (1.0 + time), time]),
                ops.convert_to_tensor(one_hot, self.variable_dtype),
            ]
        )

    def _weigh(self, logits, step, key):
        """Weights `(pool, coordinates)` from what the network says."""
        if not self.hardness:
            return ops.softmax(logits, axis=0)
        if key is None:
            chosen = ops.argmax(logits, axis=0)
            return ops.one_hot(
                chosen, len(self.pool), axis=0, dtype=logits.dtype
            )
        count = len(self.pool) * logits.shape[1]
        uniform = numerics.counter_uniform([self.seed, key, step], count)
        gumbel = -ops.log(-ops.log(ops.reshape(uniform, logits.shape)))
        noisy = logits + ops.cast(gumbel, logits.dtype)
        return ops.softmax(self.hardness * noisy, axis=0)

    def pool_weights(self, state: PolicyState) -> list[Tensor]:
        """The weights of the pool's members in the last step.

        Args:
            state: `PolicyState` after the step.

        Returns:
            List of tensors `(pool,)`, one for each parameter: the means over
            its coordinates, in the order of `pool_names`.
        """
        return [tensor.weights for tensor in state.tensors]

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "units": list(self.stack.units),
            "learning_rate": self.learning_rate,
            "time_scale": self.time_scale,
            "hardness": self.hardness,
            "rate_scale": self.rate_scale,
            "seed": self.seed,
            "cell_options": dict(self.stack.cell_options),
            "odd": self.odd,
        }
