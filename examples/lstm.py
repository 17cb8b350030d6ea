"""An LSTM that reads a line of Python's library and says which module has it.

    python examples/lstm.py

It shows a recurrent network over characters, with dropout.

One seed, JAX, 1.5 minutes of processor time in all:

                         validation loss  accuracy  CPU s
    general                         2.49     0.214     35
    AdamW 0.003, cosine             2.65     0.157     18
    AdamW 0.01, cosine              2.55     0.214     16
    Adam 0.001                      2.66     0.155     19
"""

import keras
import numpy as np
import python_source
import side_by_side
from keras import layers

LENGTH = 64
BATCH = 64
#: Printable characters, one for all others, and nothing.
CHARACTERS = 97


def encoded(texts):
    """Texts as int32 array `(texts, LENGTH)`, with zeros at the end."""
    codes = np.zeros((len(texts), LENGTH), "int32")
    for row, text in zip(codes, texts):
        for place, character in enumerate(text[:LENGTH]):
            code = ord(character) - 31
            row[place] = code if 0 < code < 96 else 96
    return codes


def network():
    """Embeddings of characters, an LSTM, and a layer for the modules."""
    return keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            layers.Embedding(CHARACTERS, 24, mask_zero=True),
            layers.LSTM(64),
            layers.Dropout(0.2),
            layers.Dense(len(python_source.MODULES)),
        ]
    )


def main(argv=None):
    arguments = side_by_side.arguments(
        __doc__, argv, seeds=1, examples=(8_000, 192), epochs=(3, 2)
    )
    texts, labels = python_source.pieces(lines=2)
    x = encoded(texts)
    # The last thousand are for validation.
    held = x[-1000:], labels[-1000:]
    x, y = x[:-1000][: arguments.examples], labels[:-1000][: arguments.examples]
    print(f"{len(x)} pieces of text from {len(python_source.MODULES)} modules")

    train = side_by_side.classifying(
        network, (x, y), held, BATCH, arguments.epochs
    )

    optimizers = side_by_side.fitted(arguments.short)
    return side_by_side.compare(train, optimizers, arguments.seeds)


if __name__ == "__main__":
    main()
