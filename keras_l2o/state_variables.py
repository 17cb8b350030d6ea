"""The variables that an optimizer keeps its policy's state in."""

import keras
from keras import ops

from keras_l2o import backend
from keras_l2o import keras_internals


def scope(optimizer, reference):
    """Context in which state that goes with a variable is made.

    Args:
        optimizer: The `keras.optimizers.Optimizer` whose state it is.
        reference: Variable.
    """
    strategy = keras_internals.distribution_strategy(optimizer)
    return backend.state_scope(strategy, reference)


def add(optimizer, name, leaf, reference, chunks=None):
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
    given = keras_internals.layout(reference)
    rank = len(reference.shape)
    if (
        chunks is None
        and given is not None
        and rank
        and shape[-rank:] == tuple(reference.shape)
    ):
        features = (None,) * (len(shape) - rank)
        layout = keras.distribution.TensorLayout(
            features + tuple(given.axes), given.device_mesh
        )
    with scope(optimizer, reference):
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
