"""Data and targets that are drawn, anew in each episode.

A layer here has weights that no optimizer trains: they define the problem. So
the model's initializers draw a new problem with each episode's first weights.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_l2o.typing import Tensor


class Drawn:
    """Batches of random numbers, without a target.

    Args:
        batch_size: Int.
        integers: Tuple of ints. For each, an input `(batch,)` of whole numbers
            below it. Defaults to none.
        normal: Tuple of shapes. For each, an input `(batch, *shape)` of normal
            numbers, after those of integers. Defaults to none.
    """

    def __init__(
        self,
        batch_size: int,
        integers: Sequence[int] = (),
        normal: Sequence[tuple[int, ...]] = (),
    ) -> None:
        self.batch_size = batch_size
        self.integers, self.normal = tuple(integers), tuple(normal)

    def batches(self, rng: np.random.Generator, steps: int) -> tuple[Any, Any]:
        """Draws batches.

        Args:
            rng: `numpy.random.Generator`.
            steps: Int. Number of batches.

        Returns:
            The inputs, a tuple of arrays `(steps, batch, ...)` or the array
            alone if it is one, and zeros `(steps, batch)`.
        """
        shape = (steps, self.batch_size)
        inputs = [
            rng.integers(limit, size=shape).astype("int32")
            for limit in self.integers
        ]
        inputs += [
            rng.standard_normal((*shape, *own), "float32")
            for own in self.normal
        ]
        x = inputs[0] if len(inputs) == 1 else tuple(inputs)
        return x, np.zeros(shape, "float32")


class _Fixed(keras.layers.Layer):
    """A layer whose weights are drawn and never trained."""

    def draw(self, name, shape, stddev=1.0):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=keras.initializers.RandomNormal(stddev=stddev),
            trainable=False,
        )


class RandomTeacher(_Fixed):
    """What a random network with a hidden layer of 24 units says.

    Args:
        **kwargs: `name` and `dtype`, as in every Keras layer.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Draws the network.

        Args:
            input_shape: Tuple, `(batch, features)`.
        """
        features = input_shape[-1]
        assert features is not None
        self.kernel = self.draw("kernel", (features, 24), features**-0.5)
        self.bias = self.draw("bias", (24,))
        self.readout = self.draw("readout", (24, 1), 0.3)

    def call(self, inputs: Tensor) -> Tensor:
        """Runs the network.

        Args:
            inputs: Tensor `(batch, features)`.

        Returns:
            Tensor `(batch, 1)`.
        """
        hidden = ops.tanh(2.0 * ops.matmul(inputs, self.kernel) + self.bias)
        return ops.matmul(hidden, self.readout)


class LinearTeacher(_Fixed):
    """What a random linear map makes of its input.

    Args:
        units: Int. How many numbers it returns.
        **kwargs: `name` and `dtype`, as in every Keras layer.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Draws the map.

        Args:
            input_shape: Tuple, `(batch, features)`.
        """
        features = input_shape[-1]
        assert features is not None
        shape = (features, self.units)
        self.kernel = self.draw("kernel", shape, features**-0.5)

    def call(self, inputs: Tensor) -> Tensor:
        """Applies the map.

        Args:
            inputs: Tensor `(batch, features)`.

        Returns:
            Tensor `(batch, units)`.
        """
        return ops.matmul(inputs, self.kernel)


class LowRank(_Fixed):
    """Entries of a random matrix of low rank.

    Args:
        rows: Int.
        columns: Int.
        rank: Int.
        **kwargs: `name` and `dtype`, as in every Keras layer.
    """

    def __init__(
        self, rows: int, columns: int, rank: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rows, self.columns, self.rank = rows, columns, rank

    def build(self, input_shape: Any) -> None:
        """Draws the matrix.

        Args:
            input_shape: Not used.
        """
        stddev = 0.6**0.5
        self.left = self.draw("left", (self.rows, self.rank), stddev)
        self.right = self.draw("right", (self.columns, self.rank), stddev)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Entries of the matrix.

        Args:
            inputs: Two int tensors `(batch,)`, rows and columns.

        Returns:
            Tensor `(batch,)`.
        """
        rows, columns = inputs
        return ops.sum(
            ops.take(self.left, rows, axis=0)
            * ops.take(self.right, columns, axis=0),
            axis=-1,
        )


class IllConditioned(_Fixed):
    """A quadratic function whose curvatures lie a thousandfold apart.

    Its value is the mean over a batch of `0.5 |S Q (x + 0.1 u)|^2`, where `x`
    is the trainable weight, `u` the input, normal noise, `Q` a random
    rotation, and the squares of the diagonal `S` go from 0.003 to 3 in equal
    ratios. So its gradients are noisy, and it has a floor.

    Args:
        dimension: Int. The number of coordinates of `x`.
        **kwargs: `name` and `dtype`, as in every Keras layer.
    """

    def __init__(self, dimension: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dimension = dimension

    def build(self, input_shape: Any) -> None:
        """Draws the function and the starting point.

        Args:
            input_shape: Not used.
        """
        n = self.dimension
        self.point = self.add_weight(
            name="point",
            shape=(n,),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        self.rotation = self.add_weight(
            name="rotation",
            shape=(n, n),
            initializer=keras.initializers.Orthogonal(),
            trainable=False,
        )

    def call(self, inputs: Tensor) -> Tensor:
        """The function's value at the point with each row of noise.

        Args:
            inputs: Tensor `(batch, dimension)`.

        Returns:
            Tensor `(batch,)`.
        """
        scales = np.sqrt(3.0 * np.logspace(-3, 0, self.dimension))
        places = self.point + 0.1 * inputs
        scaled = ops.matmul(places, self.rotation) * scales.astype("float32")
        return 0.5 * ops.sum(ops.square(scaled), axis=-1)
