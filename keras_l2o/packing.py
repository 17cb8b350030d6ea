"""In what form a policy's state is kept between two steps."""

import math

import keras
import numpy as np
from keras import ops

from keras_l2o import numerics

#: Floats of a chunk's state and of what it comes with, about: what a policy
#: computes from it stays in a processor's cache, whatever the model's size.
CHUNK_FLOATS = 3 * 2**19
#: A model of up to so many chunks is one: chunks have a cost of their own.
FEW = 3


def cut(size, floats):
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


def kept(leaf, shape, dtype, keys):
    """A leaf of the state of a parameter of this shape, as it is kept.

    A leaf of that very shape is an average that moves by less than what
    bfloat16 can tell apart. It is rounded at random, by keys that no other
    leaf has.
    """
    kind = keras.backend.standardize_dtype(leaf.dtype)
    if dtype is None or not keras.backend.is_float_dtype(kind):
        return leaf
    if dtype == "bfloat16" and tuple(leaf.shape) == tuple(shape):
        return numerics.round_at_random(leaf, keys)
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

    def pack(self, state, keys):
        """List of at most one array, the features of all leaves first.

        Args:
            state: The nest.
            keys: List of int scalars, for what is rounded at random.
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
        """The rows of each leaf in a packed array."""
        ends = np.cumsum(self.sizes)
        return [array[end - size : end] for end, size in zip(ends, self.sizes)]

    def unpack(self, arrays):
        """The nest again, from what `pack` returns."""
        leaves = []
        for features, rows in zip(
            self.features, self.rows(arrays[0]) if arrays else ()
        ):
            shape = (*features, *tuple(rows.shape)[1:])
            leaves.append(ops.cast(ops.reshape(rows, shape), self.state_dtype))
        return keras.tree.pack_sequence_as(self.structure, leaves)
