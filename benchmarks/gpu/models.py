"""Transformers in plain Keras, and the shapes of their variables."""

from typing import NamedTuple

import keras
from keras import layers
from keras import ops


class Transformer(NamedTuple):
    """Sizes of a transformer; the feed-forward layers are four times as wide.

    Attributes:
        layers, width, heads: Ints.
        vocabulary: Int, the symbols of a language model; classes of a ViT.
        length: Int, symbols of a window; patches along a side of an image.
        batch: Int, examples of a step.
    """

    layers: int
    width: int
    heads: int
    vocabulary: int
    length: int
    batch: int


#: Language models, by about how many million parameters they have.
GPTS = {
    "tiny": Transformer(2, 16, 2, 64, 8, 2),
    "1M": Transformer(4, 128, 2, 1_400, 256, 8),
    "25M": Transformer(6, 512, 8, 11_500, 512, 8),
    "125M": Transformer(12, 768, 12, 50_257, 512, 8),
}
#: Vision transformers by their names; images of patches of 16 by 16.
VITS = {
    "tiny": Transformer(2, 16, 2, 10, 2, 2),
    "B/16": Transformer(12, 768, 12, 1_000, 14, 32),
}


def gpt_shapes(sizes):
    """Shapes of the variables of `gpt`, as a tuple, without building it.

    Args:
        sizes: `Transformer`.
    """
    width, wide = sizes.width, 4 * sizes.width
    heads = (sizes.heads, width // sizes.heads)
    norm = [(width,), (width,)]
    block = [
        *norm,
        *[(width, *heads), heads] * 3,
        (*heads, width),
        (width,),
        *norm,
        (width, wide),
        (wide,),
        (wide, width),
        (width,),
    ]
    embeddings = [(sizes.vocabulary, width), (sizes.length, width)]
    return (*embeddings, *block * sizes.layers, *norm)


class Positions(layers.Layer):
    """Adds a learned vector to each place of a sequence."""

    def build(self, input_shape):
        self.vectors = self.add_weight(
            shape=input_shape[1:], initializer="random_normal", name="vectors"
        )

    def call(self, inputs):
        return inputs + ops.cast(self.vectors, inputs.dtype)


class ClassToken(layers.Layer):
    """Puts a learned vector before a sequence."""

    def build(self, input_shape):
        self.vector = self.add_weight(
            shape=(1, 1, input_shape[-1]), initializer="zeros", name="vector"
        )

    def call(self, inputs):
        token = ops.cast(self.vector, inputs.dtype)
        token = ops.broadcast_to(token, (inputs.shape[0], 1, inputs.shape[-1]))
        return ops.concatenate([token, inputs], axis=1)

    def compute_output_shape(self, input_shape):
        batch, length, width = input_shape
        return batch, length + 1, width


def _blocks(x, sizes, causal):
    for _ in range(sizes.layers):
        attention = layers.MultiHeadAttention(
            sizes.heads, sizes.width // sizes.heads
        )
        y = layers.LayerNormalization()(x)
        x = x + attention(y, y, use_causal_mask=causal)
        y = layers.LayerNormalization()(x)
        y = layers.Dense(4 * sizes.width, activation="gelu")(y)
        x = x + layers.Dense(sizes.width)(y)
    return layers.LayerNormalization()(x)


def gpt(sizes):
    """A language model that predicts each next symbol, its embedding tied.

    Args:
        sizes: `Transformer`.
    """
    embedding = layers.ReversibleEmbedding(sizes.vocabulary, sizes.width)
    symbols = keras.Input(
        (sizes.length,), dtype="int32", batch_size=sizes.batch
    )
    x = Positions()(embedding(symbols))
    logits = embedding(_blocks(x, sizes, True), reverse=True)
    return keras.Model(symbols, logits)


def vit(sizes):
    """A vision transformer for square images.

    Args:
        sizes: `Transformer`.
    """
    side = 16 * sizes.length
    images = keras.Input((side, side, 3), batch_size=sizes.batch)
    x = layers.Conv2D(sizes.width, 16, strides=16)(images)
    x = layers.Reshape((sizes.length**2, sizes.width))(x)
    x = Positions()(ClassToken()(x))
    x = _blocks(x, sizes, False)
    return keras.Model(images, layers.Dense(sizes.vocabulary)(x[:, 0]))


def batch(kind, sizes):
    """Random inputs and targets of one step, on the device.

    Args:
        kind: `"gpt"` or `"vit"`.
        sizes: `Transformer`.
    """
    if kind == "gpt":
        symbols = keras.random.randint(
            (sizes.batch, sizes.length + 1), 0, sizes.vocabulary, seed=0
        )
        return symbols[:, :-1], symbols[:, 1:]
    side = 16 * sizes.length
    images = keras.random.normal((sizes.batch, side, side, 3), seed=0)
    labels = keras.random.randint((sizes.batch,), 0, sizes.vocabulary, seed=1)
    return images, labels
