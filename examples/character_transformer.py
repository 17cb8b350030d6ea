"""A character transformer on the source code of Python's own library.

    python examples/character_transformer.py
    python examples/character_transformer.py --text my.txt --steps 2000

It shows `compile` and `fit` with `general` and the callback `Horizon`, on a
model with embeddings, attention and layer normalization.

One seed, JAX, 5.3 minutes of processor time in all:

                         validation loss  accuracy  CPU s
    general                         2.10     0.453    117
    AdamW 0.003, cosine             2.25     0.417     64
    AdamW 0.01, cosine              2.11     0.459     67
    Adam 0.001                      2.24     0.416     70
"""

import keras
import numpy as np
import python_source
import side_by_side
from keras import layers

LENGTH = 64
BATCH = 32
EPOCHS = 4
MODULES = ("argparse", "datetime", "inspect", "subprocess", "tarfile", "typing")


class Position(layers.Layer):
    """Adds a learned vector for each position."""

    def build(self, input_shape):
        self.table = self.add_weight(input_shape[1:], "uniform", name="table")

    def call(self, inputs):
        return inputs + self.table


def transformer(characters, width=64, heads=4, blocks=2):
    """A network that predicts the next character at each position."""
    inputs = keras.Input((LENGTH,), dtype="int32")
    x = Position()(layers.Embedding(characters, width)(inputs))
    for _ in range(blocks):
        y = layers.LayerNormalization()(x)
        attention = layers.MultiHeadAttention(heads, width // heads)
        x = x + attention(y, y, use_causal_mask=True)
        y = layers.LayerNormalization()(x)
        y = layers.Dense(4 * width, activation="gelu")(y)
        x = x + layers.Dense(width)(y)
    x = layers.LayerNormalization()(x)
    return keras.Model(inputs, layers.Dense(characters)(x))


def windows(codes, count):
    """Parts of a text, drawn at random, and what comes next in each place."""
    rng = np.random.default_rng(0)
    starts = rng.integers(0, len(codes) - LENGTH, count)
    parts = np.stack([codes[start : start + LENGTH + 1] for start in starts])
    return parts[:, :-1], parts[:, 1:]


def main(argv=None):
    arguments = side_by_side.arguments(
        __doc__, argv, seeds=1, files=["text"], steps=(400, 12)
    )
    if arguments.text:
        text = arguments.text.read_text("utf-8")
    else:
        text = "\n".join(python_source.source(name) for name in MODULES)
    alphabet, codes = np.unique(list(text), return_inverse=True)
    codes = codes.astype("int32")
    # The last tenth of the text is for validation.
    border = len(codes) * 9 // 10
    x, y = windows(codes[:border], arguments.steps * BATCH // EPOCHS)
    validation = windows(codes[border:], 64 if arguments.short else 1024)
    print(f"{len(text)} characters, {len(alphabet)} of them different")

    train = side_by_side.classifying(
        lambda: transformer(
            len(alphabet), blocks=1 if arguments.short else 2
        ),
        (x, y), validation, BATCH, EPOCHS,
    )  # fmt: skip

    optimizers = side_by_side.fitted(arguments.short)
    return side_by_side.compare(train, optimizers, arguments.seeds)


if __name__ == "__main__":
    main()
