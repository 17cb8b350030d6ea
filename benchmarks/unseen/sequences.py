"""Tasks on source code and on a time series."""

import keras
from keras import layers
from keras import ops

from benchmarks.unseen import data
from keras_l2o.problems import Problem
from keras_l2o.problems.places import Places


def code_lstm() -> Problem:
    """The next character of source code, by an LSTM: unseen are the text, its
    capitals and indents, and cells with a memory of their own."""

    def model():
        inputs = keras.Input((32,), dtype="int32")
        x = layers.Embedding(data.SYMBOLS, 24)(inputs)
        x = layers.LSTM(64, return_sequences=True)(x)
        return keras.Model(inputs, layers.Dense(data.SYMBOLS)(x))

    return Problem(model, data.code(32), batch_size=16, name="code_lstm")


def code_transformer() -> Problem:
    """The next character of source code, by a transformer: unseen are the
    text, a width of 64, and dropout within attention."""

    def model():
        inputs = keras.Input((32,), dtype="int32")
        x = layers.Embedding(data.SYMBOLS, 64)(inputs)
        x = Places()(x)
        for _ in range(2):
            y = layers.LayerNormalization()(x)
            x = x + layers.MultiHeadAttention(4, 16, dropout=0.1)(
                y, y, use_causal_mask=True
            )
            y = layers.LayerNormalization()(x)
            x = x + layers.Dense(64)(layers.Dense(128, "relu")(y))
        outputs = layers.Dense(data.SYMBOLS)(layers.LayerNormalization()(x))
        return keras.Model(inputs, outputs)

    return Problem(model, data.code(32), batch_size=8, name="code_transformer")


def dilated_co2() -> Problem:
    """Next week's carbon dioxide in the air, by causal convolutions that are
    ever wider apart: unseen are the time series and gated dilated layers."""

    def model():
        inputs = keras.Input((48, 1))
        x = layers.Conv1D(16, 1)(inputs)
        for rate in (1, 2, 4, 8):
            wave, gate = (
                layers.Conv1D(
                    16, 2, padding="causal", dilation_rate=rate, activation=name
                )(x)
                for name in ("tanh", "sigmoid")
            )
            x = x + layers.Conv1D(16, 1)(wave * gate)
        return keras.Model(inputs, layers.Conv1D(1, 1)(x))

    return Problem(model, data.weekly(48), "mse", 16, "dilated_co2")


def hashed_words() -> Problem:
    """The module that a few lines are from, by their hashed words: unseen are
    the text and a large table of which a step sees a few rows."""
    rows = 3000

    def model():
        inputs = keras.Input((32,), dtype="int32")
        x = layers.Embedding(rows, 32)(inputs)
        there = ops.cast(ops.expand_dims(inputs > 0, -1), "float32")
        x = ops.sum(x * there, axis=1) / ops.sum(there, axis=1)
        x = layers.Dense(48, "relu")(x)
        return keras.Model(inputs, layers.Dense(len(data.MODULES))(x))

    return Problem(
        model, data.hashed_words(rows, 32), batch_size=32, name="hashed_words"
    )
