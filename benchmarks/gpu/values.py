"""Random values of a model's variables and gradients."""

import functools

import keras
import numpy as np


def variables(shapes):
    """New Keras variables of these shapes.

    Args:
        shapes: Tuple of tuples of ints.
    """
    return [
        keras.Variable(0.02 * array, dtype="float32")
        for array in _arrays(shapes)
    ]


@functools.lru_cache(maxsize=1)
def gradients(shapes):
    """Tensors of these shapes, the same for all that ask.

    Args:
        shapes: Tuple of tuples of ints.
    """
    # In the other order: those of a variable are not its own values.
    flipped = [
        array.ravel()[::-1].reshape(array.shape) for array in _arrays(shapes)
    ]
    return [
        keras.ops.convert_to_tensor(np.float32(0.01) * array)
        for array in flipped
    ]


@functools.lru_cache(maxsize=1)
def _arrays(shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, "float32") for shape in shapes]
