"""Tiny problems that large rates break, as they break larger models.

Wide layers, many layers without normalization, exponentials, inputs of other
sizes and noisy gradients: what a rule that is trained on easy problems alone
does not know of.
"""

import math
from collections.abc import Callable

import keras
import numpy as np
from keras import layers
from keras import ops

from keras_l2o.problems import text
from keras_l2o.problems.drawn import Drawn
from keras_l2o.problems.drawn import LinearTeacher
from keras_l2o.problems.drawn import RandomTeacher
from keras_l2o.problems.functions import value_loss
from keras_l2o.problems.noisy import images_then
from keras_l2o.problems.noisy import noisy_digits
from keras_l2o.problems.places import Places
from keras_l2o.problems.problem import Problem


def _wide() -> Problem:
    """A perceptron with two wide hidden layers."""
    return noisy_digits(
        "tiny_wide",
        lambda: images_then(
            layers.Flatten(),
            layers.Dense(256, "relu"),
            layers.Dense(256, "relu"),
            layers.Dense(10),
        ),
        32,
        pixels=0.3,
    )


def _plain_deep() -> Problem:
    """A perceptron with eight hidden layers and no normalization."""
    return noisy_digits(
        "tiny_plain_deep",
        lambda: images_then(
            layers.Flatten(),
            *(
                layers.Dense(40, "relu", kernel_initializer="he_normal")
                for _ in range(8)
            ),
            layers.Dense(10),
        ),
        64,
        pixels=0.1,
        labels=0.0,
    )


def _sigmoid() -> Problem:
    """A perceptron with two hidden layers of sigmoids."""
    return noisy_digits(
        "tiny_sigmoid",
        lambda: images_then(
            layers.Flatten(),
            layers.Dense(64, "sigmoid"),
            layers.Dense(64, "sigmoid"),
            layers.Dense(10),
        ),
        64,
        labels=0.0,
    )


def _residual_convolutions() -> Problem:
    """Residual blocks of convolutions with batch normalization."""

    def model():
        inputs = keras.Input((8, 8, 1))
        x = layers.Conv2D(12, 3, strides=2, padding="same")(inputs)
        for _ in range(2):
            y = x
            for _ in range(2):
                y = layers.BatchNormalization(momentum=0.9)(y)
                y = layers.Activation("relu")(y)
                y = layers.Conv2D(12, 3, padding="same", use_bias=False)(y)
            x = x + y
        return keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))

    return noisy_digits("tiny_residual_convolutions", model, 16)


def _wide_convolutions() -> Problem:
    """Three convolutions with many channels and no normalization."""
    return noisy_digits(
        "tiny_wide_convolutions",
        lambda: images_then(
            layers.Conv2D(24, 3, strides=2, activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ),
        16,
        labels=0.0,
    )


def _deep_linear() -> Problem:
    """Six linear layers, which are to be one linear map together."""

    def model():
        x, noise = inputs = keras.Input((16,)), keras.Input((8,))
        y = x
        for width in (32, 32, 32, 32, 32, 8):
            y = layers.Dense(width, use_bias=False)(y)
        target = LinearTeacher(8)(x) + 0.1 * noise
        error = ops.mean(ops.square(y - target), axis=-1)
        return keras.Model(inputs, error)

    data = Drawn(32, normal=((16,), (8,)))
    return Problem(model, data, value_loss, 32, "tiny_deep_linear")


def _raw_table() -> Problem:
    """Regression on columns whose sizes lie a thousandfold apart."""

    def model():
        x, noise = inputs = keras.Input((12,)), keras.Input((1,))
        sizes = np.logspace(-1.5, 1.5, 12).astype("float32")
        hidden = layers.Dense(64, "relu")(x * sizes)
        hidden = layers.Dense(32, "relu")(hidden)
        target = RandomTeacher()(x) + 0.3 * noise
        error = layers.Dense(1)(hidden) - target
        return keras.Model(inputs, 2.0 * (ops.sqrt(1.0 + error**2) - 1.0))

    data = Drawn(16, normal=((12,), (1,)))
    return Problem(model, data, value_loss, 16, "tiny_raw_table")


def _quantiles() -> Problem:
    """The deciles of a noisy function of one number, by a loss with kinks."""

    def model():
        x, noise = inputs = keras.Input((1,)), keras.Input((1,))
        hidden = x
        for _ in range(3):
            hidden = layers.Dense(32, "silu")(hidden)
        target = ops.sin(3.0 * x) + (0.2 + 0.3 * ops.abs(x)) * noise
        error = target - layers.Dense(9)(hidden)
        shares = np.arange(1, 10, dtype="float32") / 10.0
        loss = ops.maximum(error * shares, error * (shares - 1.0))
        return keras.Model(inputs, ops.mean(loss, axis=-1))

    data = Drawn(48, normal=((1,), (1,)))
    return Problem(model, data, value_loss, 48, "tiny_quantiles")


def _bumps() -> Problem:
    """A function of two numbers, by bumps whose places are trained."""

    def model():
        x, noise = inputs = keras.Input((2,)), keras.Input((1,))
        code = layers.Dense(96, kernel_initializer="normal")(2.0 * x)
        code = ops.exp(-ops.square(code))
        guess = layers.Dense(1)(layers.Dense(48, "softplus")(code))
        target = RandomTeacher()(2.0 * x) + 0.05 * noise
        return keras.Model(inputs, ops.square(guess - target))

    data = Drawn(64, normal=((2,), (1,)))
    return Problem(model, data, value_loss, 64, "tiny_bumps")


def _flow() -> Problem:
    """The density of points on a noisy ring, by four invertible layers."""

    def model():
        inputs = x, noise = keras.Input((2,)), keras.Input((2,))
        radius = ops.sqrt(ops.sum(x**2, axis=-1, keepdims=True) + 1e-6)
        point = 2.0 * x / radius + 0.3 * noise
        halves, total = [point[:, :1], point[:, 1:]], 0.0
        for _ in range(4):
            kept, moved = halves
            hidden = layers.Dense(32, "tanh")(kept)
            log_scale = layers.Dense(1)(hidden)
            moved = moved * ops.exp(log_scale) + layers.Dense(1)(hidden)
            total = total + log_scale[:, 0]
            halves = [moved, kept]
        squares = sum(ops.square(half[:, 0]) for half in halves)
        surprise = 0.5 * squares - total + math.log(2.0 * math.pi)
        return keras.Model(inputs, surprise)

    data = Drawn(64, normal=((2,), (2,)))
    return Problem(model, data, value_loss, 64, "tiny_flow")


def _emulator() -> Problem:
    """What a travelling wave with friction is a moment later, by convolutions
    over a circle."""

    def model():
        noise = keras.Input((24,))
        wave = noise[:, :, None]
        for _ in range(4):
            wave = 0.5 * wave + 0.25 * (
                ops.roll(wave, 1, axis=1) + ops.roll(wave, -1, axis=1)
            )
        later = wave
        for _ in range(4):
            slope = ops.roll(later, -1, axis=1) - ops.roll(later, 1, axis=1)
            bend = (
                ops.roll(later, -1, axis=1)
                + ops.roll(later, 1, axis=1)
                - 2.0 * later
            )
            later = later - 0.3 * later * slope + 0.2 * bend
        x = wave
        for width in (20, 20, 20):
            x = ops.concatenate([x[:, -1:], x, x[:, :1]], axis=1)
            x = layers.Conv1D(width, 3, activation="gelu")(x)
        error = layers.Dense(1)(x) - later
        return keras.Model(noise, ops.mean(ops.square(error), axis=(1, 2)))

    data = Drawn(12, normal=((24,),))
    return Problem(model, data, value_loss, 12, "tiny_emulator")


def _bandit() -> Problem:
    """Choices that are made at random and paid for: the gradient is that of
    their logarithms, weighed by noisy prices."""

    def model():
        x, luck, noise = inputs = [
            keras.Input((8,)), keras.Input((4,)), keras.Input((1,)),
        ]  # fmt: skip
        hidden = layers.Dense(48, "relu")(x)
        log_chances = ops.log_softmax(layers.Dense(4)(hidden))
        prices = ops.sigmoid(LinearTeacher(4)(x))
        # A normal number of each choice stands for how it is drawn.
        chosen = ops.one_hot(
            ops.argmax(ops.stop_gradient(log_chances) + 1.5 * luck, axis=-1), 4
        )
        price = ops.sum(chosen * prices, axis=-1) + 0.2 * noise[:, 0]
        taken = ops.sum(chosen * log_chances, axis=-1)
        weighed = ops.stop_gradient(price - 0.5) * taken
        expected = ops.sum(ops.exp(log_chances) * prices, axis=-1)
        # Its value is the expected price, its gradient that of `weighed`.
        return keras.Model(
            inputs,
            ops.stop_gradient(expected) + weighed - ops.stop_gradient(weighed),
        )

    data = Drawn(64, normal=((8,), (4,), (1,)))
    return Problem(model, data, value_loss, 64, "tiny_bandit")


def _post_norm() -> Problem:
    """A transformer that normalizes after its sums, on characters."""

    def model():
        inputs = keras.Input((16,), dtype="int32")
        x = Places(0.05)(layers.Embedding(text.SYMBOLS, 32)(inputs))
        for _ in range(2):
            y = layers.MultiHeadAttention(2, 16)(x, x, use_causal_mask=True)
            x = layers.LayerNormalization()(x + y)
            y = layers.Dense(32)(layers.Dense(64, "relu")(x))
            x = layers.LayerNormalization()(x + y)
        return keras.Model(inputs, layers.Dense(text.SYMBOLS)(x))

    return text.next_characters("tiny_post_norm", model, 16, 16)


def _elman() -> Problem:
    """A recurrent network without gates, on characters."""

    def model():
        inputs = keras.Input((20,), dtype="int32")
        x = layers.Embedding(text.SYMBOLS, 24)(inputs)
        x = layers.SimpleRNN(48, return_sequences=True, unroll=True)(x)
        return keras.Model(inputs, layers.Dense(text.SYMBOLS)(x))

    return text.next_characters("tiny_elman", model, 16, 20)


def _wide_transformer() -> Problem:
    """A wider transformer of two blocks, of few windows a batch."""

    def model():
        inputs = keras.Input((16,), dtype="int32")
        x = Places(0.02)(layers.Embedding(text.SYMBOLS, 96)(inputs))
        for _ in range(2):
            y = layers.LayerNormalization()(x)
            x = x + layers.MultiHeadAttention(4, 24)(y, y, use_causal_mask=True)
            y = layers.LayerNormalization()(x)
            x = x + layers.Dense(96)(layers.Dense(192, "gelu")(y))
        x = layers.LayerNormalization()(x)
        return keras.Model(inputs, layers.Dense(text.SYMBOLS)(x))

    return text.next_characters("tiny_wide_transformer", model, 8, 16)


#: What makes each problem, by its name.
MAKERS: dict[str, Callable[[], Problem]] = {
    f"tiny{make.__name__}": make
    for make in (
        _wide,
        _plain_deep,
        _sigmoid,
        _residual_convolutions,
        _wide_convolutions,
        _deep_linear,
        _raw_table,
        _quantiles,
        _bumps,
        _flow,
        _emulator,
        _bandit,
        _post_norm,
        _elman,
        _wide_transformer,
    )
}
