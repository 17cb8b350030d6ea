"""LSTM cells that run over all coordinates at once."""

import inspect
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
            (`activation`, `kernel_initializer`, `unit_forget_bias`, ...), or of
            `OddLSTMCell`. Defaults to `None`.
        feed_all: Bool. Whether every layer reads the features in addition to
            the output of the layer below, and the stack returns them in
            addition to its output. Defaults to `False`.
        odd: Bool. Whether output and state flip their signs with the features,
            and stay zero as long as these are. Defaults to `False`.
    """

    def __init__(
        self,
        units: Sequence[int],
        cell_options: Mapping[str, Any] | None = None,
        feed_all: bool = False,
        odd: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = check_widths("units", units)
        self.odd = bool(odd)
        self.feed_all = bool(feed_all)
        self.cell_options = dict(cell_options or {})
        if self.odd:
            _check_odd(self.cell_options)
        cell = OddLSTMCell if self.odd else keras.layers.LSTMCell
        self.cells = [
            cell(
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
        lstm = _odd_lstm if self.odd else _lstm
        for cell, (hidden, memory) in zip(self.cells, state):
            shape = tuple(hidden.shape)
            flat = (shape[0], math.prod(shape[1:]))
            hidden, memory = lstm(
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


class OddLSTMCell(keras.layers.Layer):
    """The weights of an LSTM cell whose output is odd.

    The gates read absolute values, so that they are even, and have biases. The
    candidate reads the values themselves, and has no bias. So the hidden state
    and the memory flip their signs with the inputs, and inputs of zero leave
    them at zero. The columns of the kernels are those of the input, forget and
    output gates and, last, of the candidate.

    Args:
        units: Int, the width.
        activation: String or function, `"tanh"` or `"linear"`. Defaults to
            `"tanh"`.
        recurrent_activation: String or function, the gates' activation.
            Defaults to `"sigmoid"`.
        kernel_initializer: Defaults to `"glorot_uniform"`.
        recurrent_initializer: Defaults to `"orthogonal"`.
        bias_initializer: Defaults to `"zeros"`.
        unit_forget_bias: Bool. Whether the bias of the forget gate starts at
            one. Defaults to `True`.
        **kwargs: Further arguments of `keras.layers.Layer`.

    Raises:
        ValueError: The activation is another one.
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        if self.activation not in (
            keras.activations.tanh,
            keras.activations.linear,
        ):
            raise ValueError(
                "Argument `activation` of an odd cell must be 'tanh' or "
                "'linear': for another one, take `odd=False`. Received: "
                f"activation={activation!r}"
            )
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(
            recurrent_initializer
        )
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.unit_forget_bias = unit_forget_bias

    def build(self, input_shape):
        def bias(shape, dtype=None):
            enter, forget, leave = (
                self.bias_initializer((self.units,), dtype=dtype)
                for _ in range(3)
            )
            if self.unit_forget_bias:
                forget = ops.ones_like(forget)
            return ops.concatenate([enter, forget, leave])

        self.kernel = self.add_weight(
            shape=(input_shape[-1], 4 * self.units),
            initializer=self.kernel_initializer,
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, 4 * self.units),
            initializer=self.recurrent_initializer,
            name="recurrent_kernel",
        )
        self.bias = self.add_weight(
            shape=(3 * self.units,), initializer=bias, name="bias"
        )
        self.built = True


def _check_odd(options):
    """Raises an error if an odd cell does not have one of these arguments."""
    known = [*inspect.signature(OddLSTMCell).parameters][1:-1]
    for key in options:
        if key not in known:
            raise ValueError(
                f"Argument `cell_options` has {key!r}, which an odd cell does "
                "not have: take `odd=False`, or leave it out. An odd cell has: "
                f"{', '.join(known)}. Received: cell_options={options!r}"
            )


def linear(layer, features):
    """A `keras.layers.Dense`, applied to `(features, coordinates)`."""
    output = ops.matmul(ops.transpose(layer.kernel), features)
    if layer.use_bias:
        return output + layer.bias[:, None]
    # On torch, Keras's product of two float64 is a float32.
    return ops.cast(output, layer.kernel.dtype)


def _odd_lstm(cell, features, hidden, memory):
    """One step of an `OddLSTMCell`; arguments and result as of `_lstm`."""
    kernel = ops.concatenate([cell.kernel, cell.recurrent_kernel], axis=0)
    kernel = ops.transpose(kernel)
    read = ops.concatenate([features, hidden], axis=0)
    # The product is split by columns, so that it is no more arithmetic.
    size = 3 * cell.units
    gates = ops.matmul(kernel[:size], ops.abs(read)) + cell.bias[:, None]
    gates = cell.recurrent_activation(gates)
    enter, forget, leave = ops.split(gates, 3, axis=0)
    candidate = cell.activation(ops.matmul(kernel[size:], read))
    memory = forget * memory + enter * candidate
    return leave * cell.activation(memory), memory


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
