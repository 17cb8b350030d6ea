import math

import keras
import numpy as np
from keras import ops

from keras_l2o.policies.arguments import check_widths


class RecurrentStack(keras.layers.Layer):
    """LSTM cells on top of each other, run one step over every coordinate.

    Args:
        units: Tuple of ints, the width of each layer.
        cell_options: Dict of further arguments of `keras.layers.LSTMCell`
            (`activation`, `kernel_initializer`, `unit_forget_bias`, ...).
            Defaults to none.
        feed_all: Bool. Whether the features go, beside the last layer's
            output, into every layer and into the stack's output. Defaults to
            `False`.
    """

    def __init__(self, units, cell_options=None, feed_all=False, **kwargs):
        super().__init__(**kwargs)
        self.units = check_widths("units", units)
        self.feed_all = bool(feed_all)
        self.cell_options = dict(cell_options or {})
        self.cells = [
            keras.layers.LSTMCell(
                width,
                dtype=self.dtype_policy,
                name=f"lstm_{index}",
                **self.cell_options,
            )
            for index, width in enumerate(self.units)
        ]

    def build(self, features):
        """Creates the weights for this number of input features."""
        fed = features if self.feed_all else 0
        for cell in self.cells:
            cell.build((None, features))
            features = cell.units + fed
        self.output_width = features
        self.built = True

    def initial_state(self, shape):
        """Zero hidden and cell states for coordinates of this shape."""
        return tuple(
            (
                ops.zeros((width, *shape), self.variable_dtype),
                ops.zeros((width, *shape), self.variable_dtype),
            )
            for width in self.units
        )

    def step(self, features, state):
        """Runs the stack once.

        Coordinates are the last axis: gates are then slices of whole rows,
        which need no copy.

        Args:
            features: Tensor of shape `(features, coordinates)`.
            state: As `initial_state` returns it, for any shape with that many
                coordinates.

        Returns:
            The output `(output_width, coordinates)`, and the new state in the
            shape of the old.
        """
        fed = features
        new_state = []
        for cell, (hidden, memory) in zip(self.cells, state):
            shape = tuple(hidden.shape)
            flat = (shape[0], math.prod(shape[1:]))
            hidden, memory = _lstm(
                cell,
                features,
                ops.reshape(hidden, flat),
                ops.reshape(memory, flat),
            )
            features = hidden
            if self.feed_all:
                features = ops.concatenate([hidden, fed], axis=0)
            new_state.append(
                (ops.reshape(hidden, shape), ops.reshape(memory, shape))
            )
        return features, tuple(new_state)

    def call(self, features, state):
        return self.step(features, state)


def linear(layer, features):
    """What a `keras.layers.Dense` says of `(features, coordinates)`."""
    output = ops.matmul(ops.transpose(layer.kernel), features)
    return output + layer.bias[:, None] if layer.use_bias else output


def _lstm(cell, features, hidden, memory):
    """One step of a `keras.layers.LSTMCell`, coordinates last.

    Args:
        cell: The cell, which is built.
        features: `(features, coordinates)`.
        hidden, memory: `(units, coordinates)`.

    Returns:
        The new hidden state and memory.
    """
    # One product for both of what it reads.
    kernel = ops.concatenate([cell.kernel, cell.recurrent_kernel], axis=0)
    bias = cell.bias if cell.use_bias else ops.zeros_like(kernel[0])
    read = ops.concatenate([features, hidden], axis=0)
    if (
        cell.activation is keras.activations.tanh
        and cell.recurrent_activation is keras.activations.sigmoid
    ):
        # One activation for all gates, since tanh(z) = 2 sigmoid(2 z) - 1. The
        # product then has one consumer, and no compiler makes it twice.
        factors = np.repeat([1.0, 1.0, 2.0, 1.0], cell.units)
        factors = ops.convert_to_tensor(factors, kernel.dtype)
        kernel, bias = kernel * factors, bias * factors
        gates = ops.matmul(ops.transpose(kernel), read) + bias[:, None]
        enter, forget, candidate, leave = ops.split(
            ops.sigmoid(gates), 4, axis=0
        )
        candidate = 2.0 * candidate - 1.0
    else:
        gates = ops.matmul(ops.transpose(kernel), read) + bias[:, None]
        enter, forget, candidate, leave = ops.split(gates, 4, axis=0)
        enter, forget, leave = (
            cell.recurrent_activation(gate) for gate in (enter, forget, leave)
        )
        candidate = cell.activation(candidate)
    memory = forget * memory + enter * candidate
    return leave * cell.activation(memory), memory
