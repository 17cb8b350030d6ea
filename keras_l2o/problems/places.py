"""Learned vectors that tell places apart."""

from typing import Any

import keras

from keras_l2o.typing import Tensor


class Places(keras.layers.Layer):
    """Adds a learned vector to each place `(batch, places, width)`.

    A `keras.layers.Embedding` of constant indices would not do: Keras's
    functional models take what it returns for a constant.

    Args:
        stddev: Float. Standard deviation of the vectors' first values. Defaults
            to `0.05`.
        **kwargs: `name` and `dtype`, as in every Keras layer.
    """

    def __init__(self, stddev: float = 0.05, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev = stddev

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the vectors.

        Args:
            input_shape: Tuple, `(batch, places, width)`.
        """
        self.vectors = self.add_weight(
            shape=input_shape[1:],
            initializer=keras.initializers.RandomNormal(stddev=self.stddev),
            name="vectors",
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Adds the vectors.

        Args:
            inputs: Tensor `(batch, places, width)`.

        Returns:
            Tensor of the same shape.
        """
        return inputs + self.vectors
