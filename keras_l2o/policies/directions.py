"""A small network that combines directions, odd in the gradient."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_l2o import backend
from keras_l2o.policies.arguments import check_widths
from keras_l2o.policies.recurrent import linear

#: Decays of the momenta of the gradient. The second is Adam's.
DECAYS = (0.5, 0.9, 0.99)
ADAM = 1
#: Largest change of the logarithm of the magnitude.
LOG_MAGNITUDE = 5.0
#: Directions that are multiplied with each other, as features.
PAIRS = ((0, 1), (1, 2), (3, 1))


class DirectionNetwork(keras.layers.Layer):
    """Combines four directions of each coordinate into one.

    The result is `exp(m) * (e_1 + sum_i c_i e_i)`, where the `e_i` are the
    directions and the coefficients `c_i` and `m` are what a network makes of
    even features: absolute values of directions and products of two. So the
    result has the directions' sign: it flips with them, and is zero where they
    are. An untrained network returns a fixed combination, divided by the sum
    of its coefficients.

    Args:
        units: Tuple of ints. Widths of the hidden layers.
        context: Int. How many features all coordinates share.
        start: Four floats, the coefficients before training. Defaults to
            direction 1 alone.
        **kwargs: `name` and `dtype`, as in every Keras layer.
    """

    directions = 4

    def __init__(
        self,
        units: Sequence[int],
        context: int,
        start: Sequence[float] = (0.0, 1.0, 0.0, 0.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        bias = [*start, -math.log(sum(start))]
        bias[ADAM] -= 1.0
        self.units = check_widths("units", units)
        self.context = context
        self.hidden = rectified(self.units, self.dtype_policy)
        self.readout = keras.layers.Dense(
            self.directions + 1,
            kernel_initializer="zeros",
            bias_initializer=starting_at(bias),
            dtype=self.dtype_policy,
            name="readout",
        )

    def build(self, input_shape=None):
        width = self.directions + len(PAIRS) + self.context
        build_in_turn([*self.hidden, self.readout], width)
        self.built = True

    def combine(self, directions, context, in_one_pass=False):
        """Makes one direction of four.

        Args:
            directions: List of four tensors `(coordinates,)`, in units in
                which 1 is large.
            context: Tensor `(context,)`, the same for all coordinates.
            in_one_pass: Bool. Whether the network is written as sums and
                products of whole rows, as in `in_turn`. Defaults to `False`.

        Returns:
            Tensor `(coordinates,)`.
        """
        sizes = [ops.abs(direction) for direction in directions]
        products = [3.0 * directions[i] * directions[j] for i, j in PAIRS]
        features = [*sizes, *products]
        if in_one_pass:
            features = [ops.tanh(feature) for feature in features]
            outputs = in_turn(self.hidden, self.readout, features, context)
        else:
            features = ops.tanh(ops.stack(features))
            output = stacked(self.hidden, features, context)
            output = linear(self.readout, output)
            outputs = ops.unstack(output, self.directions + 1)
        *coefficients, log_magnitude = outputs
        log_magnitude = ops.clip(log_magnitude, -LOG_MAGNITUDE, LOG_MAGNITUDE)
        combined = directions[ADAM]
        for coefficient, direction in zip(coefficients, directions):
            combined = combined + coefficient * direction
        return ops.exp(log_magnitude) * combined

    def call(self, directions, context):
        return self.combine(directions, context)


def starting_at(values):
    """An initializer of a weight that starts at these values, in a nest."""
    return lambda shape, dtype: backend.put(np.asarray(values, dtype))


def rectified(units, dtype, prefix="hidden"):
    """Rectified layers of these widths, not yet built."""
    return [
        keras.layers.Dense(
            width, activation="relu", dtype=dtype, name=f"{prefix}_{index}"
        )
        for index, width in enumerate(units)
    ]


def build_in_turn(layers, width):
    """Builds layers of which each reads what the one before returns.

    Args:
        layers: List of `keras.layers.Dense`.
        width: Int. How many features the first one reads.
    """
    for layer in layers:
        layer.build((None, width))
        width = layer.units


def stacked(hidden, features, context):
    """Runs rectified layers, whose first reads features and a context.

    Args:
        hidden: List of `keras.layers.Dense`.
        features: `(features, coordinates)`.
        context: `(context,)`, the same for all coordinates. What the first
            layer makes of it is a part of its bias.

    Returns:
        Tensor `(units, coordinates)`.
    """
    first, *others = hidden
    width = features.shape[0]
    bias = first.bias + ops.matmul(context, first.kernel[width:])
    output = ops.matmul(ops.transpose(first.kernel[:width]), features)
    output = ops.relu(output + bias[:, None])
    for layer in others:
        output = ops.relu(linear(layer, output))
    return output


def in_turn(hidden, readout, features, context):
    """What `stacked` and a linear layer return, as a compiler likes to read it.

    Each row is a sum of other rows, times numbers. A compiler makes one loop
    of these, with what belongs to the policy before and after, and no layer's
    outputs go through memory. Operation by operation it is slower than
    products of matrices, and its gradient takes long to compile.

    Args:
        hidden: List of `keras.layers.Dense`, rectified.
        readout: `keras.layers.Dense`, linear.
        features: List of tensors `(coordinates,)`.
        context: `(context,)`.

    Returns:
        List of tensors `(coordinates,)`.
    """
    first = hidden[0]
    bias = first.bias + ops.matmul(context, first.kernel[len(features) :])
    rows = [ops.relu(row) for row in _sums(first.kernel, bias, features)]
    for layer in hidden[1:]:
        rows = _sums(layer.kernel, layer.bias, rows)
        rows = [ops.relu(row) for row in rows]
    return _sums(readout.kernel, readout.bias, rows)


def _sums(kernel, bias, rows):
    """Each output of a linear layer: a row."""
    return [
        sum(
            (kernel[index, output] * row for index, row in enumerate(rows)),
            start=bias[output],
        )
        for output in range(kernel.shape[1])
    ]
