"""The form in which a policy's state is stored between steps."""

import math

import keras
import numpy as np
from keras import ops

from keras_l2o import backend
from keras_l2o import numerics

#: About how many floats belong to one chunk: its state, gradients and updates.
#: So few fit into a processor's cache, however large the model is.
CHUNK_FLOATS = 3 * 2**19
#: The same on an accelerator, which has no such cache and starts each operation
#: at a price. What a policy computes on the way takes about as much memory.
ACCELERATOR_FLOATS = 2**29
#: A model that would have this many chunks or fewer is not cut into chunks,
#: because each chunk adds some overhead.
FEW = 3


def cut(size, floats):
    """Into how many chunks a model is cut, and how many coordinates each has.

    Args:
        size: Int. How many coordinates the model has.
        floats: Int. How many floats the state of a coordinate has.

    Returns:
        Two ints, the number of chunks and their width.
    """
    most = CHUNK_FLOATS if backend.on_processor() else ACCELERATOR_FLOATS
    width = most // (floats + 8)
    chunks = math.ceil(size / width)
    if chunks <= FEW:
        return 1, size
    # A multiple of 64, so that each chunk begins where vector registers can
    # load without a penalty.
    return chunks, 64 * math.ceil(size / chunks / 64)


def kept(leaf, shape, dtype, keys):
    """Casts one tensor of a parameter's state to the type it is stored in.

    A tensor with the parameter's own shape is an average, which changes by
    less at each step than bfloat16 can represent. So it is rounded at random,
    by keys that belong to this tensor alone.

    Args:
        leaf: Tensor.
        shape: Tuple of ints, the parameter's shape.
        dtype: String, or `None` to leave the type as it is.
        keys: List of int scalars, as in `numerics.round_at_random`.
    """
    kind = keras.backend.standardize_dtype(leaf.dtype)
    if dtype is None or not keras.backend.is_float_dtype(kind):
        return leaf
    if dtype == "bfloat16" and tuple(leaf.shape) == tuple(shape):
        return numerics.round_at_random(leaf, keys)
    return ops.cast(leaf, dtype)


class Packing:
    """Joins the tensors of a parameter's state in one array, and back.

    A chunk's state is one array, because it can be read and replaced as a
    whole. Of several arrays that depend on each other, a compiler would keep
    copies.

    Args:
        state: The state of a parameter with one axis: a nest of tensors of one
            type, whose last axis is the parameter's.
        dtype: String, the type of the array. Defaults to `None`, the type of
            the state.
    """

    def __init__(self, state, dtype=None):
        self.dtype = dtype
        leaves = keras.tree.flatten(state)
        self.structure = keras.tree.map_structure(lambda leaf: 0, state)
        self.features = [tuple(leaf.shape)[:-1] for leaf in leaves]
        self.sizes = [math.prod(features) for features in self.features]
        self.state_dtype = leaves[0].dtype if leaves else None

    def pack(self, state, keys):
        """Joins the tensors of a state along their features.

        Args:
            state: The nest.
            keys: List of int scalars, as in `kept`.

        Returns:
            List of one array `(features, width)`, or an empty list if there
            is no state.
        """
        leaves = keras.tree.flatten(state)
        if not leaves:
            return []
        shape = tuple(leaves[0].shape)[-1:]
        leaves = [
            kept(leaf, shape, self.dtype, [*keys, index])
            for index, leaf in enumerate(leaves)
        ]
        return [
            ops.concatenate(
                [
                    ops.reshape(leaf, (size, *shape))
                    for leaf, size in zip(leaves, self.sizes)
                ]
            )
        ]

    def rows(self, array):
        """Cuts a packed array into the rows of each tensor."""
        ends = np.cumsum(self.sizes)
        return [array[end - size : end] for end, size in zip(ends, self.sizes)]

    def unpack(self, arrays):
        """Makes the nest again from what `pack` has returned."""
        leaves = []
        for features, rows in zip(
            self.features, self.rows(arrays[0]) if arrays else ()
        ):
            shape = (*features, *tuple(rows.shape)[1:])
            leaves.append(ops.cast(ops.reshape(rows, shape), self.state_dtype))
        return keras.tree.pack_sequence_as(self.structure, leaves)
