"""Where an optimizer keeps its policy's state, and how the policy runs over it.

`FlatState` is the fast form, for policies that treat every coordinate alike;
`TensorState` is the plain one, for all others and for sharded variables.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.policies.policy import PolicyState

#: Floats of a chunk's state and of what it comes with, about: what a policy
#: computes from it stays in a processor's cache, whatever the model's size.
CHUNK_FLOATS = 3 * 2**19
#: A model of up to so many chunks is one: chunks have a cost of their own.
FEW = 3


def make_state(optimizer, variables):
    """The state of an optimizer's policy over these variables."""
    parallel = keras.distribution.distribution()
    sharded = isinstance(parallel, keras.distribution.ModelParallel)
    if optimizer.policy.coordinatewise and not sharded:
        return FlatState(optimizer, variables)
    return TensorState(optimizer, variables)


class TensorState:
    """The state of each variable on its own, in the variable's layout.

    Args:
        optimizer: The `LearnedOptimizer`.
        variables: List of all variables that it trains.
    """

    def __init__(self, optimizer, variables):
        self.optimizer = optimizer
        with backend.state_scope(optimizer, variables[0]):
            state = optimizer.policy.initial_state(variables)
            tensors = [
                [
                    _kept(leaf, variable.shape, optimizer.state_dtype, 0)
                    for leaf in keras.tree.flatten(tensor)
                ]
                for variable, tensor in zip(variables, state.tensors)
            ]
        self.dtypes = [leaf.dtype for leaf in keras.tree.flatten(state)]
        leaves = [_add(optimizer, "step", state.step, variables[0])]
        for variable, tensor in zip(variables, tensors):
            for index, leaf in enumerate(tensor):
                name = f"{variable.path}_{index}"
                leaves.append(_add(optimizer, name, leaf, variable))
        for index, leaf in enumerate(keras.tree.flatten(state.shared)):
            leaves.append(
                _add(optimizer, f"shared_{index}", leaf, variables[0])
            )
        self.variables = leaves
        self.structure = keras.tree.map_structure(lambda leaf: 0, state)

    def read(self):
        """The `PolicyState`, of tensors."""
        leaves = [
            ops.cast(backend.read(variable), dtype)
            for variable, dtype in zip(self.variables, self.dtypes)
        ]
        return keras.tree.pack_sequence_as(self.structure, leaves)

    def step(self, gradients, parameters):
        """Runs the policy once and keeps its new state.

        Args:
            gradients: List of tensors, `None` where there is none.
            parameters: List of tensors of the same shapes.

        Returns:
            List of updates, to be subtracted; `None` where there is none.
        """
        updates, state = _advance(
            self.optimizer, gradients, parameters, self.read()
        )
        dtype = self.optimizer.state_dtype
        tensors = tuple(
            keras.tree.map_structure(
                lambda leaf, shape=gradient.shape: _kept(
                    leaf, shape, dtype, state.step
                ),
                tensor,
            )
            for tensor, gradient in zip(state.tensors, parameters)
        )
        leaves = keras.tree.flatten(state._replace(tensors=tensors))
        for variable, leaf in zip(self.variables, leaves):
            self.optimizer.assign(variable, leaf)
        return updates


class FlatState:
    """The state of all coordinates in a row, in chunks of equal size.

    The policy runs over one chunk after another, each in its place. Takes
    what `TensorState` takes.
    """

    def __init__(self, optimizer, variables):
        self.optimizer = optimizer
        self.shapes = [tuple(variable.shape) for variable in variables]
        self.sizes = [math.prod(shape) for shape in self.shapes]
        self.size = sum(self.sizes)
        policy, first = optimizer.policy, variables[0]
        with backend.state_scope(optimizer, first):
            # No coordinate's state starts unlike another's.
            state = policy.initial_state([ops.zeros((1,))])
            self.packing = Packing(state.tensors[0], optimizer.state_dtype)
            packed = self.packing.pack(state.tensors[0], 0)
        self.chunks, self.width = _cut(self.size, sum(self.packing.sizes))
        self.count = _add(optimizer, "step", state.step, first)
        self.variables = [
            _add(optimizer, "state", leaf, first, (self.chunks, self.width))
            for leaf in packed
        ]
        self._run = backend.compiled(self._run)

    def read(self):
        """The `PolicyState`, of tensors in the variables' shapes."""
        arrays = [self._split(backend.read(v)) for v in self.variables]
        return PolicyState(
            backend.read(self.count),
            tuple(
                self.packing.unpack([array[index] for array in arrays])
                for index in range(len(self.shapes))
            ),
        )

    def step(self, gradients, parameters):
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
            self.optimizer,
            lambda leaves, rows: self._run(weights, step, leaves, rows),
            self.variables,
            rows,
            self.chunks,
        )
        self.optimizer.assign(self.count, step + 1)
        return [
            None if gradient is None else update
            for gradient, update in zip(gradients, self._split(updates))
        ]

    def _run(self, weights, step, leaves, rows):
        """The policy's step over one chunk: a function of tensors alone.

        Args:
            weights: List of the values of the policy's variables.
            step: int32 scalar, steps made before.
            leaves: List of the chunk's state, as stored.
            rows: List of the chunk's gradients and parameters and, if some
                have no gradient, of booleans that say which.

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
        return self.packing.pack(new, step), update

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


def _advance(optimizer, gradients, parameters, state):
    """Updates and new state: the policy's, or the warm-up's before it."""
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


def _add(optimizer, name, leaf, reference, chunks=None):
    """Variable for a leaf of the state, placed like the variable `reference`.

    Args:
        optimizer: The optimizer.
        name: String.
        leaf: Tensor, the first value.
        reference: Variable. If the leaf's shape ends with its shape, the leaf
            is sharded as it is.
        chunks: Pair of ints, chunks and their width. If given, the variable
            holds the leaf, which is one coordinate's, for each of theirs.
    """
    layout, shape = None, tuple(leaf.shape)
    given = getattr(reference, "_layout", None)
    rank = len(reference.shape)
    if (
        chunks is None
        and isinstance(given, keras.distribution.TensorLayout)
        and rank
        and shape[-rank:] == tuple(reference.shape)
    ):
        features = (None,) * (len(shape) - rank)
        layout = keras.distribution.TensorLayout(
            features + tuple(given.axes), given.device_mesh
        )
    with backend.state_scope(optimizer, reference):
        if chunks is not None:
            times = (chunks[0], *(1 for _ in leaf.shape[1:]), chunks[1])
            leaf = ops.tile(leaf[None], times)
        return optimizer.add_variable(
            shape=tuple(leaf.shape),
            initializer=lambda *_, **__: leaf,
            dtype=keras.backend.standardize_dtype(leaf.dtype),
            layout=layout,
            name="policy_" + name.replace("/", "_"),
        )


def _cut(size, floats):
    """Number and width of the chunks of a model.

    Args:
        size: Int, coordinates of the model.
        floats: Int, floats of a coordinate's state.
    """
    width = CHUNK_FLOATS // (floats + 8)
    chunks = math.ceil(size / width)
    if chunks <= FEW:
        return 1, size
    # Each begins where a vector register may load.
    return chunks, 64 * math.ceil(size / chunks / 64)


def _kept(leaf, shape, dtype, step):
    """A leaf of the state of a parameter of this shape, as it is kept.

    A leaf of that very shape is an average that moves by less than what
    bfloat16 can tell apart.
    """
    kind = keras.backend.standardize_dtype(leaf.dtype)
    if dtype is None or not keras.backend.is_float_dtype(kind):
        return leaf
    if dtype == "bfloat16" and tuple(leaf.shape) == tuple(shape):
        return numerics.round_at_random(leaf, [step])
    return ops.cast(leaf, dtype)


class Packing:
    """How a state's leaves lie in one array.

    One array for a chunk is read and replaced as a whole; of several that
    depend on each other a compiler keeps copies.

    Args:
        state: A parameter's state: a nest of tensors of one type whose shapes
            end with the parameter's, which has one axis.
        dtype: String. What the array is kept in, or `None` for the state's.
    """

    def __init__(self, state, dtype=None):
        self.dtype = dtype
        leaves = keras.tree.flatten(state)
        self.structure = keras.tree.map_structure(lambda leaf: 0, state)
        self.features = [tuple(leaf.shape)[:-1] for leaf in leaves]
        self.sizes = [math.prod(features) for features in self.features]
        self.state_dtype = leaves[0].dtype if leaves else None

    def pack(self, state, step):
        """List of at most one array, the features of all leaves first.

        Args:
            state: The nest.
            step: Int or int scalar, for what is rounded at random.
        """
        leaves = keras.tree.flatten(state)
        if not leaves:
            return []
        shape = tuple(leaves[0].shape)[-1:]
        leaves = [_kept(leaf, shape, self.dtype, step) for leaf in leaves]
        return [
            ops.concatenate(
                [
                    ops.reshape(leaf, (size, *shape))
                    for leaf, size in zip(leaves, self.sizes)
                ]
            )
        ]

    def unpack(self, arrays):
        """The nest again, from what `pack` returns."""
        leaves, start = [], 0
        for features, size in zip(self.features, self.sizes):
            rows = arrays[0][start : start + size]
            shape = (*features, *tuple(rows.shape)[1:])
            leaves.append(ops.cast(ops.reshape(rows, shape), self.state_dtype))
            start += size
        return keras.tree.pack_sequence_as(self.structure, leaves)
