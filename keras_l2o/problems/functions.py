"""Functions of a few coordinates, a new one drawn for each episode.

A function is a `keras.Model` like any other optimizee. Its trainable weight
is the point; the numbers that define the function are weights, too, but not
trainable. So the model's initializers draw a new function with each new
starting point, and both come with the seed of `Problem.initial_values`.
"""

import keras
import numpy as np
from keras import ops

from keras_l2o.problems.problem import Problem


@keras.saving.register_keras_serializable(package="keras_l2o")
class Quadratic(keras.layers.Layer):
    """`|A x - b|^2`, with the entries of A, b and the first x from N(0, 1).

    Args:
        dimension: Int.

    Reference:
        - [Andrychowicz et al., 2016](https://arxiv.org/abs/1606.04474)
    """

    def __init__(self, dimension, **kwargs):
        super().__init__(**kwargs)
        self.dimension = dimension

    def build(self, input_shape):
        n = self.dimension
        self.point = self._normal("point", (n,), trainable=True)
        self.matrix = self._normal("matrix", (n, n))
        self.target = self._normal("target", (n,))

    def _normal(self, name, shape, trainable=False):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            trainable=trainable,
        )

    def call(self, inputs):
        value = self.value(ops.convert_to_tensor(self.point))
        return ops.broadcast_to(value, ops.shape(inputs)[:1])

    def value(self, point):
        """The function at a point `(dimension,)`."""
        residual = ops.matmul(self.matrix, point) - self.target
        return ops.sum(ops.square(residual))

    def get_config(self):
        return {**super().get_config(), "dimension": self.dimension}


@keras.saving.register_keras_serializable(package="keras_l2o")
class Rastrigin(Quadratic):
    """`|A x - b|^2 + alpha sum_i (|c_i| - c_i cos(2 pi x_i))`.

    A quadratic under waves; A, b, c and the first x have entries from
    N(0, 1). The literature's constant is `alpha * dimension`: with `|c_i|` in
    its place the gradient is the same and the value never negative, so that
    it has a logarithm.

    Args:
        dimension: Int.
        alpha: Float. Height of the waves. Defaults to `10.0`.

    Reference:
        - [Cao et al., 2019](https://arxiv.org/abs/1911.03787)
    """

    def __init__(self, dimension, alpha=10.0, **kwargs):
        super().__init__(dimension, **kwargs)
        self.alpha = float(alpha)

    def build(self, input_shape):
        super().build(input_shape)
        self.heights = self._normal("heights", (self.dimension,))

    def value(self, point):
        waves = ops.abs(self.heights) - self.heights * ops.cos(
            2.0 * np.pi * point
        )
        return super().value(point) + self.alpha * ops.sum(waves)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}


class NoData:
    """The data of a problem that has none: batches of one zero."""

    name = "none"
    classes = 0
    x_validation = np.zeros((1, 1), "float32")
    y_validation = np.zeros((1,), "float32")

    def batches(self, rng, steps):
        return np.zeros((steps, 1, 1), "float32"), np.zeros(
            (steps, 1), "float32"
        )


def value_loss(y_true, y_pred):
    """The loss of a function: the value that its model returns."""
    return y_pred


def function_problem(layer, name):
    """A `Problem` of a function.

    Args:
        layer: Function without arguments that returns a layer such as
            `Quadratic`.
        name: String.
    """

    def build():
        inputs = keras.Input((1,))
        return keras.Model(inputs, layer()(inputs), name=name)

    return Problem(build, NoData(), loss=value_loss, batch_size=1, name=name)
