"""A vision transformer on Fashion-MNIST.

    make fashion-mnist
    python examples/vit_fashion_mnist.py

It shows a model that usually asks for a tuned rate and a warm-up, and a data
set by name.

One seed, JAX, 3.8 minutes of processor time in all:

                         validation loss  accuracy  CPU s
    general                        0.495     0.820     86
    AdamW 0.003, cosine            0.592     0.779     47
    AdamW 0.01, cosine             0.633     0.764     48
    Adam 0.001                     0.593     0.781     49
"""

import sys

import keras
import side_by_side
from keras import layers
from keras import ops

import keras_l2o

BATCH = 64


class Position(layers.Layer):
    """Adds a learned vector for each position."""

    def build(self, input_shape):
        self.table = self.add_weight(input_shape[1:], "uniform", name="table")

    def call(self, inputs):
        return inputs + self.table


def vision_transformer(width=48, heads=4, blocks=2):
    """A network of 49 patches of four by four pixels, and a token."""
    inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(width, 4, strides=4)(inputs)
    x = layers.Reshape((49, width))(x)
    # The vector of the first position is the token of the class.
    x = Position()(ops.pad(x, [[0, 0], [1, 0], [0, 0]]))
    for _ in range(blocks):
        y = layers.LayerNormalization()(x)
        attention = layers.MultiHeadAttention(heads, width // heads)
        x = x + attention(y, y)
        y = layers.LayerNormalization()(x)
        y = layers.Dense(2 * width, activation="gelu")(y)
        x = x + layers.Dense(width)(y)
    x = layers.LayerNormalization()(x[:, 0])
    return keras.Model(inputs, layers.Dense(10)(x))


def main(argv=None):
    arguments = side_by_side.arguments(
        __doc__, argv, seeds=1, images=(8_000, 192), epochs=(2, 2)
    )
    try:
        clothes = keras_l2o.problems.load_dataset("fashion_mnist")
    except keras_l2o.problems.DatasetError as error:
        sys.exit(str(error))
    x = clothes.x_train[: arguments.images]
    y = clothes.y_train[: arguments.images]
    last = 64 if arguments.short else None
    validation = clothes.x_validation[:last], clothes.y_validation[:last]

    train = side_by_side.classifying(
        lambda: vision_transformer(blocks=1 if arguments.short else 2),
        (x, y), validation, BATCH, arguments.epochs,
    )  # fmt: skip

    optimizers = side_by_side.fitted(arguments.short)
    return side_by_side.compare(train, optimizers, arguments.seeds)


if __name__ == "__main__":
    main()
