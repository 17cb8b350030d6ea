"""`keras.optimizers.MultiOptimizer`: a learned part for matrices, Adam's rest.

    python examples/multi_optimizer.py

A bag of words says which module of Python's library a few lines are from. The
kernels of its dense layers are trained by `general`, embeddings and biases by
AdamW. It shows that `Horizon` tells each part how long `fit` is, and that the
model is saved and loaded with both.

The embeddings are most of the parameters, so a step costs little more than
AdamW's, where `general` for all of it takes four times the time. TensorFlow,
two processor cores, 1 minute:

                          validation loss       accuracy  CPU s
    kernels, AdamW 0.01             0.563          0.850     12
    general                         0.588          0.821     33
    AdamW 0.003, cosine             0.803          0.784      8
    AdamW 0.01, cosine              0.667          0.815      8
    Adam 0.001                      1.016          0.740      6
    tensorflow, 1 seeds, 1.1 minutes of CPU
"""

import pathlib
import re
import tempfile
import zlib

import keras
import numpy as np
import python_source
import side_by_side
from keras import layers

import keras_l2o

BATCH = 64
WORDS = 40
ROWS = 5_000


def hashed(texts):
    """The words of texts as int32 `(texts, WORDS)`, with zeros at the end."""
    codes = np.zeros((len(texts), WORDS), "int32")
    for row, text in zip(codes, texts):
        found = re.findall(r"\w+", text)[:WORDS]
        row[: len(found)] = [
            1 + zlib.crc32(word.encode()) % (ROWS - 1) for word in found
        ]
    return codes


def network():
    """The mean of the words' embeddings, and two layers over it."""
    return keras.Sequential(
        [
            keras.Input((WORDS,), dtype="int32"),
            layers.Embedding(ROWS, 32, mask_zero=True),
            layers.GlobalAveragePooling1D(),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(len(python_source.MODULES)),
        ]
    )


def parted(rate):
    """`general` for what ends in `kernel`, AdamW for all else."""
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            keras.optimizers.AdamW(rate),
            {".*/kernel": keras_l2o.from_hub("general")},
        )
    )


def saved_and_loaded(model, x):
    """The model from its file, which is to do what it did."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.keras")
        model.save(path)
        loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )
    for kept, found in zip(
        model.optimizer.variables, loaded.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(kept), keras.ops.convert_to_numpy(found)
        )
    return loaded


def main(argv=None):
    arguments = side_by_side.arguments(
        __doc__, argv, seeds=1, examples=(5_000, 512), epochs=(6, 2)
    )
    texts, labels = python_source.pieces(lines=4)
    x = hashed(texts)
    held = x[-1000:], labels[-1000:]
    x, y = x[:-1000][: arguments.examples], labels[:-1000][: arguments.examples]
    print(f"{len(x)} pieces of text from {len(python_source.MODULES)} modules")

    def loaded(model):
        if isinstance(model.optimizer, keras.optimizers.MultiOptimizer):
            return saved_and_loaded(model, held[0])
        return model

    train = side_by_side.classifying(
        network, (x, y), held, BATCH, arguments.epochs, loaded
    )

    optimizers = {
        f"kernels, AdamW {rate:g}": lambda rate=rate: (
            parted(rate),
            [keras_l2o.callbacks.Horizon(warmup=side_by_side.WARMUP)],
        )
        for rate in (side_by_side.RATES[-1:])
    }
    optimizers |= side_by_side.fitted(arguments.short)
    return side_by_side.compare(train, optimizers, arguments.seeds)


if __name__ == "__main__":
    main()
