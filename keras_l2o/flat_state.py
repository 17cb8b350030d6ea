"""Keeps the state of a policy that treats every coordinate alike, in a row."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import keras
import numpy as np
from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.packing import Packing
from keras_l2o.packing import cut
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.policy import next_step
from keras_l2o.state_variables import add
from keras_l2o.state_variables import scope
from keras_l2o.table_state import TableState


class FlatState:
    """The state of all coordinates in a row, cut into chunks of equal size.

    The policy runs over one chunk after another, and the new state of a chunk
    takes the place of the old one. The arguments are those of `TensorState`.
    """

    tables: Mapping[int, TableState] = MappingProxyType({})

    def __init__(self, optimizer, variables, left_out):
        self.optimizer, self.left_out = optimizer, left_out
        #: The numbers of the variables whose state is kept here.
        self.numbers = [i for i, out in enumerate(left_out) if not out]
        self.shapes = [tuple(variables[i].shape) for i in self.numbers]
        self.sizes = [math.prod(shape) for shape in self.shapes]
        self.size = sum(self.sizes)
        policy, first = optimizer.policy, variables[0]
        with scope(optimizer, first):
            # One coordinate is enough: the states of all start alike.
            state = policy.initial_state([ops.zeros((1,))])
            self.packing = Packing(state.tensors[0], optimizer.state_dtype)
            packed = self.packing.pack(state.tensors[0], [0])
        self.chunks, self.width = cut(self.size, sum(self.packing.sizes))
        self.count = add(optimizer, "step", state.step, first)
        self._first = [ops.convert_to_numpy(leaf) for leaf in packed]
        self.packed = [
            add(optimizer, "state", leaf, first, (self.chunks, self.width))
            for leaf in packed
        ]
        # `LossScaleOptimizer` only compares the numbers of variables to see if
        # a stored state fits. So each trained variable has an empty one here.
        self.marks = [
            add(optimizer, f"mark_{number}", np.zeros((), "int32"), first)
            for number, _ in enumerate(variables)
        ]
        self.variables = [self.count, *self.packed, *self.marks]
        self._run = backend.compiled(self._run)
        if optimizer.torch_compile:
            self._run = backend.traced(self._run)

    def read(self):
        """The `PolicyState`, of tensors in the variables' shapes."""
        arrays = [self._split(backend.read(v)) for v in self.packed]
        return PolicyState(
            backend.read(self.count),
            self._spread(
                [
                    self.packing.unpack([array[index] for array in arrays])
                    for index in range(len(self.shapes))
                ],
                (),
            ),
        )

    def clock(self):
        """As `TensorState.clock`."""
        return PolicyState(backend.read(self.count), ())

    def _spread(self, own, other):
        """A tuple of what is kept here and, for other variables, another."""
        own = iter(own)
        return tuple(other if out else next(own) for out in self.left_out)

    def step(self, gradients, parameters, counts=None):
        """As `TensorState.step`."""
        step = backend.read(self.count)
        gradients = [gradients[number] for number in self.numbers]
        parameters = [parameters[number] for number in self.numbers]
        rows = [
            self._rows(
                [
                    ops.zeros(shape) if gradient is None else gradient
                    for gradient, shape in zip(gradients, self.shapes)
                ]
            ),
            self._rows(parameters),
        ]
        missing = [gradient is None for gradient in gradients]
        if any(missing):
            present = np.repeat(np.logical_not(missing), self.sizes)
            rows.append(self._rows([present], "bool"))

        weights = [backend.read(w) for w in self.optimizer.policy.variables]
        updates = backend.walk(
            lambda leaves, rows, index: self._run(
                weights, step, counts, leaves, rows, index
            ),
            self.packed,
            rows,
            self.chunks,
            self.optimizer.policy.variable_dtype,
            self.optimizer.assign,
        )
        after = next_step(step)
        if counts is not None:
            after = ops.where(counts, after, step)
        self.optimizer.assign(self.count, after)
        updates = [
            None if gradient is None else update
            for gradient, update in zip(gradients, self._split(updates))
        ]
        return list(self._spread(updates, None))

    def _run(self, weights, step, counts, leaves, rows, index):
        """The policy's step over one chunk: a function of tensors alone.

        Args:
            weights: List of the values of the policy's variables.
            step: int32 scalar, steps made before.
            counts: As in `TensorState.step`.
            leaves: List of the chunk's state, as stored.
            rows: List of the chunk's gradients and parameters and, if some
                have no gradient, of booleans that say which.
            index: int32 scalar, the chunk's number.

        Returns:
            List of the new state, as stored, and the updates.
        """
        gradient, parameter, *present = rows
        old = self.packing.unpack(leaves)
        policy = self.optimizer.policy
        with keras.StatelessScope(list(zip(policy.variables, weights))):
            (update,), state = advance(
                self.optimizer,
                [gradient],
                [parameter],
                PolicyState(step, (old,)),
            )
        (new,) = state.tensors
        if present:
            new = numerics.select(present[0], new, old)
        packed = self.packing.pack(new, [step, index])
        if counts is not None:
            packed = numerics.select(counts, packed, leaves)
            update = where(counts, update)
        return packed, update

    def array_shapes(self):
        """As `TensorState.array_shapes`."""
        return {
            "step": (),
            **{
                f"{number}_{index}": features + shape
                for number, shape in zip(self.numbers, self.shapes)
                for index, features in enumerate(self.packing.features)
            },
        }

    def arrays(self):
        """As `TensorState.arrays`."""
        found = {"step": ops.convert_to_numpy(self.count)}
        for variable in self.packed:
            rows, shapes = (
                self._named_rows(self._flat(variable)),
                self.array_shapes(),
            )
            found |= {k: row.reshape(shapes[k]) for k, row in rows.items()}
        return found

    def restore(self, arrays):
        """As `TensorState.restore`."""
        self.count.assign(arrays["step"])
        for variable in self.packed:
            flat = self._flat(variable).copy()
            for name, rows in self._named_rows(flat).items():
                rows[:] = arrays[name].reshape(rows.shape)
            chunked = flat.reshape(-1, self.chunks, self.width)
            variable.assign(np.moveaxis(chunked, 1, 0))

    def reset(self):
        """As `TensorState.reset`."""
        self.count.assign(0)
        for variable, leaf in zip(self.packed, self._first):
            variable.assign(np.broadcast_to(leaf[None], variable.shape))

    def _flat(self, variable):
        """A packed variable as `(features, coordinates)`, in NumPy."""
        values = np.moveaxis(ops.convert_to_numpy(variable), 0, 1)
        return values.reshape(len(values), -1)

    def _named_rows(self, flat):
        """Views of each leaf's part of such an array, by its name."""
        ends = np.cumsum(self.sizes)
        return {
            f"{number}_{index}": rows
            for number, end, size in zip(self.numbers, ends, self.sizes)
            for index, rows in enumerate(
                self.packing.rows(flat[:, end - size : end])
            )
        }

    def _rows(self, tensors, dtype=None):
        """Tensors in the variables' shapes as `(chunks, width)`."""
        dtype = dtype or self.optimizer.policy.variable_dtype
        tensors = [
            ops.reshape(ops.cast(tensor, dtype), (-1,)) for tensor in tensors
        ]
        padding = self.chunks * self.width - self.size
        if padding:
            tensors.append(ops.zeros((padding,), dtype))
        flat = tensors[0] if len(tensors) == 1 else ops.concatenate(tensors)
        return ops.reshape(flat, (self.chunks, self.width))

    def _split(self, leaf):
        """A leaf `(chunks, *features, width)` by variable."""
        features = tuple(leaf.shape)[1:-1]
        flat = ops.reshape(
            ops.moveaxis(leaf, 0, -2), (*features, self.chunks * self.width)
        )
        ends = np.cumsum(self.sizes)
        return [
            ops.reshape(flat[..., end - size : end], (*features, *shape))
            for end, size, shape in zip(ends, self.sizes, self.shapes)
        ]


def where(counts, update):
    return ops.where(counts, update, ops.zeros_like(update))


def advance(optimizer, gradients, parameters, state):
    """One step of the policy, or of plain gradient descent while warming up."""
    policy = optimizer.policy
    if not optimizer.warmup_steps:
        return policy.update(gradients, parameters, state)
    dtype = policy.variable_dtype
    there = [i for i, gradient in enumerate(gradients) if gradient is not None]

    def warm_up():
        state_after = policy.warm_up(gradients, parameters, state)
        updates = [
            ops.cast(optimizer.warmup_rate * gradients[i], dtype) for i in there
        ]
        return updates, state_after

    def update():
        updates, state_after = policy.update(gradients, parameters, state)
        return [ops.cast(updates[i], dtype) for i in there], state_after

    some, state = ops.cond(state.step < optimizer.warmup_steps, warm_up, update)
    updates = [None] * len(gradients)
    for index, value in zip(there, some):
        updates[index] = value
    return updates, state
