"""LSTM cells that run over all coordinates at once."""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_l2o.policies.arguments import check_widths


class RecurrentStack(keras.layers.Layer):
    """A stack of LSTM cells that makes one step for all coordinates at once.

    Args:
        units: Tuple of ints, the width of each layer.
        cell_options: Dict of further arguments of `keras.layers.LSTMCell`
            (`activation`, `kernel_initializer`, `unit_forget_bias`, ...).
            Defaults to `None`.
        feed_all: Bool. Whether every layer reads the features in addition to
            the output of the layer below, and the stack returns them in
            addition to its output. Defaults to `False`.
    """

    def __init__(
        self,
        units: Sequence[int],
        cell_options: Mapping[str, Any] | None = None,
        feed_all: bool = False,
        **kwargs: Any,
    ) -> None:
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

        Coordinates are the last axis, because the gates are then slices of
        whole rows, which need no copy.

        Args:
            features: Tensor of shape `(features, coordinates)`.
            state: What `initial_state` returned for a shape with that many
                coordinates, or the last step.

        Returns:
            The output `(output_width, coordinates)`, and the new state, in the
            shapes of the old one.
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
    """A `keras.layers.Dense`, applied to `(features, coordinates)`."""
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
    # One product for inputs and hidden state together.
    kernel = ops.concatenate([cell.kernel, cell.recurrent_kernel], axis=0)
    bias = cell.bias if cell.use_bias else ops.zeros_like(kernel[0])
    read = ops.concatenate([features, hidden], axis=0)
    if (
        cell.activation is keras.activations.tanh
        and cell.recurrent_activation is keras.activations.sigmoid
    ):
        # One activation for all gates, because tanh(z) = 2 sigmoid(2 z) - 1.
        # So only one operation reads the product, and a compiler that fuses
        # operations does not compute it twice.
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
