"""Functions of a few coordinates; each episode draws another one.

A function is a `keras.Model`, like any other problem's. The point at which it
is evaluated is the model's trainable weight. The numbers that define the
function are weights, too, but not trainable ones. So each time that
`Problem.initial_values` runs the model's initializers, they draw both a new
function and a new starting point.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_l2o.problems.problem import Problem
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_l2o")
class Quadratic(keras.layers.Layer):
    """A random quadratic function, `|A x - b|^2`.

    It is a layer whose trainable weight is the point `x`. The entries of `A`,
    of `b` and of the starting point are drawn from a standard normal
    distribution. The layer's inputs count for nothing but their batch size.

    Args:
        dimension: Int. The number of coordinates of `x`.
        **kwargs: `name` and `dtype`, as in every Keras layer.

    Example:

    >>> layer = keras_l2o.problems.functions.Quadratic(3)
    >>> layer(np.zeros((2, 1))).shape
    TensorShape([2])
    >>> [tuple(v.shape) for v in layer.trainable_variables]
    [(3,)]

    Reference:
        - [Andrychowicz et al., 2016](https://arxiv.org/abs/1606.04474)
    """

    def __init__(self, dimension: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dimension = dimension

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Draws the function and the starting point.

        Args:
            input_shape: Tuple; the weights do not depend on it.
        """
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

    def call(self, inputs: Tensor) -> Tensor:
        """The function's value at the point, once for each row of a batch.

        Args:
            inputs: Tensor whose first axis is the batch.

        Returns:
            Tensor `(batch,)`.
        """
        value = self.value(ops.convert_to_tensor(self.point))
        return ops.broadcast_to(value, ops.shape(inputs)[:1])

    def value(self, point: Tensor) -> Tensor:
        """The function's value at any point.

        Args:
            point: Tensor `(dimension,)`.

        Returns:
            Scalar tensor.
        """
        residual = ops.matmul(self.matrix, point) - self.target
        return ops.sum(ops.square(residual))

    def get_config(self) -> Config:
        return {**super().get_config(), "dimension": self.dimension}


@keras.saving.register_keras_serializable(package="keras_l2o")
class Rastrigin(Quadratic):
    """A random Rastrigin function: a quadratic with waves on it.

    Its value is `|A x - b|^2 + alpha sum_i (|c_i| - c_i cos(2 pi x_i))`, where
    the entries of `A`, `b`, `c` and of the starting point are drawn from a
    standard normal distribution. In the literature a constant stands in the
    place of `|c_i|`. The gradient is the same, and with `|c_i|` the value is
    never negative, so that meta-training can take its logarithm.

    Args:
        dimension: Int. The number of coordinates of `x`.
        alpha: Float. Height of the waves. Defaults to `10.0`.
        **kwargs: `name` and `dtype`, as in every Keras layer.

    Example:

    >>> layer = keras_l2o.problems.functions.Rastrigin(2)
    >>> bool(keras.ops.all(layer(np.zeros((1, 1))) > 0))
    True

    Reference:
        - [Cao et al., 2019](https://arxiv.org/abs/1911.03787)
    """

    def __init__(
        self, dimension: int, alpha: float = 10.0, **kwargs: Any
    ) -> None:
        super().__init__(dimension, **kwargs)
        self.alpha = float(alpha)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        self.heights = self._normal("heights", (self.dimension,))

    def value(self, point: Tensor) -> Tensor:
        waves = ops.abs(self.heights) - self.heights * ops.cos(
            2.0 * np.pi * point
        )
        return super().value(point) + self.alpha * ops.sum(waves)

    def get_config(self) -> Config:
        return {**super().get_config(), "alpha": self.alpha}


class NoData:
    """The data of a problem without data: batches that hold a single zero.

    Example:

    >>> data = keras_l2o.problems.functions.NoData()
    >>> x, y = data.batches(np.random.default_rng(0), steps=5)
    >>> x.shape, y.shape
    ((5, 1, 1), (5, 1))
    """

    name = "none"
    classes = 0
    x_validation = np.zeros((1, 1), "float32")
    y_validation = np.zeros((1,), "float32")

    def batches(
        self, rng: np.random.Generator, steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Batches of one zero.

        Args:
            rng: `numpy.random.Generator`, which is not used.
            steps: Int. Number of batches.

        Returns:
            Two float32 arrays, `(steps, 1, 1)` and `(steps, 1)`.
        """
        return np.zeros((steps, 1, 1), "float32"), np.zeros(
            (steps, 1), "float32"
        )


def value_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The loss of a problem whose model returns the value to be minimized.

    Args:
        y_true: Tensor, which is not used.
        y_pred: Tensor, what the model returned.

    Returns:
        `y_pred`.

    Example:

    >>> keras_l2o.problems.functions.value_loss(None, 3.0)
    3.0
    """
    return y_pred


def function_problem(
    layer: Callable[[], keras.layers.Layer], name: str
) -> Problem:
    """Makes a `Problem` of a function that is to be minimized.

    Args:
        layer: Function without arguments that returns a layer such as
            `Quadratic`.
        name: String, the problem's name.

    Returns:
        A `Problem` without data.

    Example:

    >>> from keras_l2o.problems import functions
    >>> functions.function_problem(lambda: functions.Quadratic(5), "small")
    <Problem 'small', 5 coordinates>
    """

    def build():
        inputs = keras.Input((1,))
        return keras.Model(inputs, layer()(inputs), name=name)

    return Problem(build, NoData(), loss=value_loss, batch_size=1, name=name)
