import math

import keras
from keras import ops


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
        self.units = tuple(int(width) for width in units)
        if not self.units or min(self.units) < 1:
            raise ValueError(
                "Argument `layers` must name at least one width, each of at "
                f"least 1. Received: layers={units}"
            )
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
                ops.zeros((*shape, width), self.variable_dtype),
                ops.zeros((*shape, width), self.variable_dtype),
            )
            for width in self.units
        )

    def step(self, features, state):
        """Runs the stack once.

        Args:
            features: Tensor of shape `(coordinates, features)`.
            state: As `initial_state` returns it, for any shape with that many
                coordinates.

        Returns:
            The output `(coordinates, output_width)`, and the new state in the
            shape of the old.
        """
        fed = features
        new_state = []
        for cell, (hidden, memory) in zip(self.cells, state):
            shape = tuple(hidden.shape)
            flat = (math.prod(shape[:-1]), shape[-1])
            features, (hidden, memory) = cell(
                features, [ops.reshape(hidden, flat), ops.reshape(memory, flat)]
            )
            if self.feed_all:
                features = ops.concatenate([features, fed], axis=-1)
            new_state.append(
                (ops.reshape(hidden, shape), ops.reshape(memory, shape))
            )
        return features, tuple(new_state)

    def call(self, features, state):
        return self.step(features, state)
