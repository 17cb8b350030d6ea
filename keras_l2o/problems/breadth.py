"""Tiny problems of many kinds, on which `general` is trained.

A rule is to work on models that nobody has thought of, so the models, losses
and data here are as different as small ones can be. Nothing is downloaded:
images are those of digits, text is Python's own documentation, and all else is
drawn.
"""

from collections.abc import Callable

import keras
from keras import layers
from keras import ops

from keras_l2o.problems import few
from keras_l2o.problems import fragile
from keras_l2o.problems import scaled
from keras_l2o.problems import sparse
from keras_l2o.problems import text
from keras_l2o.problems.datasets import load
from keras_l2o.problems.drawn import Drawn
from keras_l2o.problems.drawn import IllConditioned
from keras_l2o.problems.drawn import LowRank
from keras_l2o.problems.drawn import RandomTeacher
from keras_l2o.problems.functions import value_loss
from keras_l2o.problems.noisy import images_then
from keras_l2o.problems.noisy import noisy_digits
from keras_l2o.problems.places import Places
from keras_l2o.problems.problem import Problem


def _perceptron() -> Problem:
    """A perceptron with one hidden layer of rectified units."""
    return noisy_digits(
        "tiny_perceptron",
        lambda: images_then(
            layers.Flatten(),
            layers.Dense(48, "relu", kernel_initializer="he_normal"),
            layers.Dense(10),
        ),
        64,
        pixels=0.3,
    )


def _deep_tanh() -> Problem:
    """A perceptron with three hidden layers, on images without noise."""
    return noisy_digits(
        "tiny_deep_tanh",
        lambda: images_then(
            layers.Flatten(),
            *(layers.Dense(32, "tanh") for _ in range(3)),
            layers.Dense(10),
        ),
        32,
        pixels=0.1,
        labels=0.0,
    )


def _batch_norm() -> Problem:
    """A perceptron with batch normalization."""

    def block():
        return (
            layers.Dense(32, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.Activation("relu"),
        )

    return noisy_digits(
        "tiny_batch_norm",
        lambda: images_then(
            layers.Flatten(), *block(), *block(), layers.Dense(10)
        ),
        64,
    )


def _label_noise() -> Problem:
    """A linear classifier of few images a batch and many wrong labels."""
    return noisy_digits(
        "tiny_label_noise",
        lambda: images_then(layers.Flatten(), layers.Dense(10)),
        8,
        labels=0.3,
    )


def _residual() -> Problem:
    """A residual network of perceptrons with layer normalization."""

    def model():
        inputs = keras.Input((8, 8, 1))
        x = layers.Dense(32)(layers.Flatten()(inputs))
        for _ in range(2):
            y = layers.LayerNormalization()(x)
            y = layers.Dense(64, "gelu", use_bias=False)(y)
            x = x + layers.Dense(32, use_bias=False)(y)
        outputs = layers.Dense(10)(layers.LayerNormalization()(x))
        return keras.Model(inputs, outputs)

    return noisy_digits("tiny_residual", model, 64, labels=0.1)


def _convolutions() -> Problem:
    """Two convolutions and a pooling."""
    return noisy_digits(
        "tiny_convolutions",
        lambda: images_then(
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ),
        48,
    )


def _strided() -> Problem:
    """Strided convolutions with group normalization and a mean at the end."""
    return noisy_digits(
        "tiny_strided",
        lambda: images_then(
            layers.Conv2D(12, 3, strides=2, padding="same", use_bias=False),
            layers.GroupNormalization(4),
            layers.Activation("silu"),
            layers.Conv2D(24, 3, strides=2, padding="same", activation="silu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ),
        32,
        labels=0.0,
    )


class _Reconstruction:
    """Digits as what goes in and what is to come out, and some noise.

    Args:
        batch_size: Int.
        noise: Int. How many normal numbers go in with each image.
    """

    def __init__(self, batch_size, noise):
        self.batch_size, self.noise = batch_size, noise
        self.images = load("digits").x_train.reshape(-1, 64)

    def batches(self, rng, steps):
        shape = (steps, self.batch_size)
        images = self.images[rng.integers(len(self.images), size=shape)]
        noise = rng.standard_normal((*shape, self.noise), "float32")
        return (images, noise), images


def _cross_entropy(images, logits):
    """Mean over pixels of the cross-entropy of gray values, `(batch,)`."""
    return ops.mean(ops.softplus(logits) - logits * images, axis=-1)


def _autoencoder() -> Problem:
    """An autoencoder through eight numbers."""

    def model():
        inputs = keras.Input((64,)), keras.Input((1,))
        x = inputs[0]
        for width in (48, 8, 48):
            x = layers.Dense(width, "elu")(x)
        return keras.Model(inputs, layers.Dense(64)(x))

    return Problem(
        model, _Reconstruction(64, 1), _cross_entropy, 64, "tiny_autoencoder"
    )


def _variational() -> Problem:
    """A variational autoencoder."""

    def model():
        image, noise = inputs = keras.Input((64,)), keras.Input((6,))
        hidden = layers.Dense(40, "relu")(image)
        mean, log_variance = layers.Dense(6)(hidden), layers.Dense(6)(hidden)
        code = mean + ops.exp(0.5 * log_variance) * noise
        logits = layers.Dense(64)(layers.Dense(40, "relu")(code))
        surplus = ops.square(mean) + ops.exp(log_variance) - log_variance - 1.0
        return keras.Model(inputs, [logits, surplus])

    def loss(images, outputs):
        logits, surplus = outputs
        return (
            _cross_entropy(images, logits) + ops.sum(surplus, axis=-1) / 128.0
        )

    return Problem(model, _Reconstruction(64, 6), loss, 64, "tiny_variational")


def _regression() -> Problem:
    """Regression on what a random network says, with noise."""

    def model():
        x, noise = inputs = keras.Input((8,)), keras.Input((1,))
        hidden = x
        for _ in range(2):
            hidden = layers.Dense(48, "relu", kernel_initializer="he_normal")(
                hidden
            )
        target = RandomTeacher()(x) + 0.2 * noise
        return keras.Model(inputs, ops.square(layers.Dense(1)(hidden) - target))

    data = Drawn(48, normal=((8,), (1,)))
    return Problem(model, data, value_loss, 48, "tiny_regression")


def _factorization() -> Problem:
    """Two embeddings whose products are to be those of two others."""

    def model():
        *pair, noise = inputs = (
            keras.Input((), dtype="int32"),
            keras.Input((), dtype="int32"),
            keras.Input((1,)),
        )
        rows, columns = (
            layers.Embedding(size, 6)(index)
            for size, index in zip((60, 50), pair)
        )
        target = LowRank(60, 50, 3)(pair) + 0.3 * noise[:, 0]
        guess = ops.sum(rows * columns, axis=-1)
        return keras.Model(inputs, ops.square(guess - target))

    data = Drawn(96, integers=(60, 50), normal=((1,),))
    return Problem(model, data, value_loss, 96, "tiny_factorization")


def _quadratic() -> Problem:
    """A quadratic whose curvatures lie a thousandfold apart, with noise."""

    def model():
        inputs = keras.Input((48,))
        return keras.Model(inputs, IllConditioned(48)(inputs))

    data = Drawn(4, normal=((48,),))
    return Problem(model, data, value_loss, 4, "tiny_quadratic")


def _characters(length, width, heads, depth, scale):
    normal = keras.initializers.RandomNormal

    def model():
        inputs = keras.Input((length,), dtype="int32")
        x = layers.Embedding(text.SYMBOLS, width, normal(stddev=scale))(inputs)
        x = Places(0.02)(x)
        for _ in range(depth):
            y = layers.LayerNormalization(center=False)(x)
            x = x + layers.MultiHeadAttention(
                heads, width // heads, use_bias=False
            )(y, y, use_causal_mask=True)
            y = layers.LayerNormalization(center=False)(x)
            y = layers.Dense(2 * width, "gelu")(y)
            x = x + layers.Dense(width, use_bias=False)(y)
        outputs = layers.Dense(text.SYMBOLS)(layers.LayerNormalization()(x))
        return keras.Model(inputs, outputs)

    return model


def _transformer() -> Problem:
    """A transformer of one block, on characters."""
    return text.next_characters(
        "tiny_transformer", _characters(16, 24, 2, 1, 0.05), 16, 16
    )


def _deep_transformer() -> Problem:
    """A narrower transformer of three blocks, with larger embeddings."""
    return text.next_characters(
        "tiny_deep_transformer", _characters(12, 16, 4, 3, 0.5), 16, 12
    )


def _recurrent() -> Problem:
    """A recurrent network with gates, on characters."""

    def model():
        inputs = keras.Input((12,), dtype="int32")
        x = layers.Embedding(text.SYMBOLS, 16)(inputs)
        x = layers.GRU(24, return_sequences=True, unroll=True)(x)
        return keras.Model(inputs, layers.Dense(text.SYMBOLS)(x))

    return text.next_characters("tiny_recurrent", model, 16, 12)


#: What makes each problem, by its name.
MAKERS: dict[str, Callable[[], Problem]] = {
    f"tiny{make.__name__}": make
    for make in (
        _perceptron,
        _deep_tanh,
        _batch_norm,
        _label_noise,
        _residual,
        _convolutions,
        _strided,
        _autoencoder,
        _variational,
        _regression,
        _factorization,
        _quadratic,
        _transformer,
        _deep_transformer,
        _recurrent,
    )
}
MAKERS |= fragile.MAKERS | few.MAKERS | scaled.MAKERS | sparse.MAKERS

#: The names of the problems.
BREADTH = tuple(MAKERS)
