"""Keeps the state of an optimizer's policy, and runs the policy over it.

`FlatState` is fast and for policies that treat every coordinate alike.
`TensorState` is for all other policies, for those that read the horizon, which
belongs to no coordinate, and for sharded variables.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.packing import Packing
from keras_l2o.packing import cut
from keras_l2o.packing import kept
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.policy import next_step
from keras_l2o.policies.policy import told
from keras_l2o.state_variables import add
from keras_l2o.state_variables import scope


def make_state(optimizer, variables):
    """Makes the state of an optimizer's policy for a list of variables."""
    parallel = keras.distribution.distribution()
    sharded = isinstance(parallel, keras.distribution.ModelParallel)
    policy = optimizer.policy
    if policy.coordinatewise and not policy.reads_horizon and not sharded:
        return FlatState(optimizer, variables)
    return TensorState(optimizer, variables)


class TensorState:
    """The state of each variable on its own, in the variable's layout.

    Args:
        optimizer: The `LearnedOptimizer`.
        variables: List of all variables that it trains.
    """

    def __init__(self, optimizer, variables):
        self.optimizer, self.trained = optimizer, variables
        with scope(optimizer, variables[0]):
            state = self._first_state()
            leaves = self._kept(state, 0)
        self.dtypes = [leaf.dtype for leaf in keras.tree.flatten(state)]
        self.structure = keras.tree.map_structure(lambda leaf: 0, state)
        #: Each leaf's name in a file, and the variable that it goes with.
        self.names, references = ["step"], [variables[0]]
        for number, tensor in enumerate(state.tensors):
            for index, _ in enumerate(keras.tree.flatten(tensor)):
                self.names.append(f"{number}_{index}")
                references.append(variables[number])
        for index, _ in enumerate(keras.tree.flatten(state.shared)):
            self.names.append(f"shared_{index}")
            references.append(variables[0])
        self.marks = []
        self.variables = [
            add(optimizer, f"{reference.path}_{name}", leaf, reference)
            for name, reference, leaf in zip(self.names, references, leaves)
        ]

    def read(self):
        """The `PolicyState`, of tensors."""
        leaves = [
            ops.cast(backend.read(variable), dtype)
            for variable, dtype in zip(self.variables, self.dtypes)
        ]
        return keras.tree.pack_sequence_as(self.structure, leaves)

    def tell(self):
        """Tells the policy the optimizer's horizon; all else stays."""
        before = self.read()
        after = self._told(before)
        leaves = zip(keras.tree.flatten(before), keras.tree.flatten(after))
        for variable, (old, new) in zip(self.variables, leaves):
            if new is not old:
                variable.assign(ops.cast(new, variable.dtype))

    def step(self, gradients, parameters, counts=None):
        """Runs the policy once and keeps its new state.

        Args:
            gradients: List of tensors, `None` where there is none.
            parameters: List of tensors of the same shapes.
            counts: Boolean scalar tensor: where it is false, the state stays
                and the updates are zeros. Defaults to `None`, which is true.

        Returns:
            List of updates, to be subtracted; `None` where there is none.
        """
        updates, state = _advance(
            self.optimizer, gradients, parameters, self.read()
        )
        leaves = self._kept(state, state.step)
        if counts is not None:
            old = [backend.read(variable) for variable in self.variables]
            leaves = numerics.select(counts, leaves, old)
            updates = [u if u is None else _where(counts, u) for u in updates]
        for variable, leaf in zip(self.variables, leaves):
            self.optimizer.assign(variable, leaf)
        return updates

    def _kept(self, state, step):
        """The leaves of a `PolicyState`, as they are kept."""
        dtype = self.optimizer.state_dtype
        tensors = tuple(
            keras.tree.pack_sequence_as(
                tensor,
                [
                    kept(leaf, variable.shape, dtype, [step, number, index])
                    for index, leaf in enumerate(keras.tree.flatten(tensor))
                ],
            )
            for number, (variable, tensor) in enumerate(
                zip(self.trained, state.tensors)
            )
        )
        return keras.tree.flatten(state._replace(tensors=tensors))

    def array_shapes(self):
        """Dict of the shapes of what `arrays` gives."""
        return {
            name: tuple(variable.shape)
            for name, variable in zip(self.names, self.variables)
        }

    def arrays(self):
        """The state as a dict of NumPy arrays, as a file holds it.

        Under `"step"` the steps made, under `"<variable>_<leaf>"`, both by
        number, what belongs to a variable, and the rest under
        `"shared_<leaf>"`.
        """
        return {
            name: ops.convert_to_numpy(variable)
            for name, variable in zip(self.names, self.variables)
        }

    def restore(self, arrays):
        """Puts back what `arrays` gave, of either form of the state."""
        for name, variable in zip(self.names, self.variables):
            variable.assign(arrays[name])

    def reset(self):
        """Puts the state back to before the first step."""
        # The training starts afresh, and is as long as it was.
        state = self._first_state(first=0)
        for variable, leaf in zip(self.variables, self._kept(state, 0)):
            variable.assign(leaf)

    def _first_state(self, **horizon):
        state = self.optimizer.policy.initial_state(self.trained)
        return self._told(state, **horizon)

    def _told(self, state, **horizon):
        numbers = self.optimizer.horizon._replace(**horizon)
        return self.optimizer.policy.with_horizon(state, told(numbers))


class FlatState:
    """The state of all coordinates in a row, cut into chunks of equal size.

    The policy runs over one chunk after another, and the new state of a chunk
    takes the place of the old one. The arguments are those of `TensorState`.
    """

    def __init__(self, optimizer, variables):
        self.optimizer = optimizer
        self.shapes = [tuple(variable.shape) for variable in variables]
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

    def read(self):
        """The `PolicyState`, of tensors in the variables' shapes."""
        arrays = [self._split(backend.read(v)) for v in self.packed]
        return PolicyState(
            backend.read(self.count),
            tuple(
                self.packing.unpack([array[index] for array in arrays])
                for index in range(len(self.shapes))
            ),
        )

    def step(self, gradients, parameters, counts=None):
        """As `TensorState.step`."""
        step = backend.read(self.count)
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
        return [
            None if gradient is None else update
            for gradient, update in zip(gradients, self._split(updates))
        ]

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
            (update,), state = _advance(
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
            update = _where(counts, update)
        return packed, update

    def array_shapes(self):
        """As `TensorState.array_shapes`."""
        return {
            "step": (),
            **{
                f"{number}_{index}": features + shape
                for number, shape in enumerate(self.shapes)
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
            for number, (end, size) in enumerate(zip(ends, self.sizes))
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


def _where(counts, update):
    return ops.where(counts, update, ops.zeros_like(update))


def _advance(optimizer, gradients, parameters, state):
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
