"""Tasks on images: attention, mixing, patches, coordinates, pairs, sets."""

import keras
import numpy as np
from keras import layers
from keras import ops

from benchmarks.unseen import data
from keras_l2o.problems import Dataset
from keras_l2o.problems import Problem
from keras_l2o.problems import load_dataset
from keras_l2o.problems.places import Places


def _feed_forward(x, width):
    """Two layers, of which the second is as wide as what goes in."""
    return layers.Dense(x.shape[-1])(layers.Dense(width, "gelu")(x))


def _tokens(inputs, width):
    """A digit's sixteen squares of two by two, as tokens."""
    x = layers.Conv2D(width, 2, strides=2)(inputs)
    return layers.Reshape((16, width))(x)


def digits_vit() -> Problem:
    """A vision transformer on digits: unseen are attention over images and
    its learned token of the class."""

    def model():
        inputs = keras.Input((8, 8, 1))
        # The vector of the first place is the token of the class.
        x = ops.pad(_tokens(inputs, 32), [[0, 0], [1, 0], [0, 0]])
        x = Places()(x)
        for _ in range(2):
            y = layers.LayerNormalization()(x)
            x = x + layers.MultiHeadAttention(4, 8, dropout=0.1)(y, y)
            x = x + _feed_forward(layers.LayerNormalization()(x), 64)
        outputs = layers.Dense(10)(layers.LayerNormalization()(x[:, 0]))
        return keras.Model(inputs, outputs)

    digits = load_dataset("digits")
    return Problem(model, digits, batch_size=32, name="digits_vit")


def digits_mixer() -> Problem:
    """An MLP-Mixer on digits: unseen are layers that mix along places."""

    def model():
        inputs = keras.Input((8, 8, 1))
        x = Places()(_tokens(inputs, 32))
        for _ in range(3):
            y = layers.Permute((2, 1))(layers.LayerNormalization()(x))
            x = x + layers.Permute((2, 1))(_feed_forward(y, 32))
            x = x + _feed_forward(layers.LayerNormalization()(x), 64)
        x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
        return keras.Model(inputs, layers.Dense(10)(x))

    digits = load_dataset("digits")
    return Problem(model, digits, batch_size=32, name="digits_mixer")


def fourier_image() -> Problem:
    """The colors of a photograph by their places, of which random waves are
    the features: unseen are data, features and the task of one image."""
    pixels = data.pixels("flower", 96)
    waves = np.random.default_rng(0).normal(scale=5.0, size=(2, 64))

    def features(places):
        angles = (np.pi * places @ waves).astype("float32")
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)

    pixels = pixels._replace(
        x_train=features(pixels.x_train),
        x_validation=features(pixels.x_validation),
    )

    def model():
        return keras.Sequential(
            [
                keras.Input((128,)),
                *(layers.Dense(64, "relu") for _ in range(3)),
                layers.Dense(3, "sigmoid"),
            ]
        )

    return Problem(model, pixels, "mse", 256, "fourier_image")


def sine_image() -> Problem:
    """A photograph again, by a network of sines with large first weights:
    unseen are periodic activations and their initial values."""

    def model():
        inputs = x = keras.Input((2,))
        for width, bound in ((2, 0.5), (64, 6**0.5 / 8 / 15.0)):
            for _ in range(1 if width == 2 else 2):
                uniform = keras.initializers.RandomUniform(-bound, bound)
                dense = layers.Dense(64, kernel_initializer=uniform)
                x = ops.sin(15.0 * dense(x))
        return keras.Model(inputs, layers.Dense(3)(x))

    return Problem(
        model, data.pixels("china", 96), "mse", 256, "sine_image"
    )  # fmt: skip


def _cut(size):
    """Squares of both photographs, and the sixth of one they are from."""
    squares, labels = [], []
    for number, name in enumerate(("china", "flower")):
        found = data.patches(data.photograph(name), size)
        rows, columns = found.shape[:2]
        third = np.arange(columns) * 3 // columns + 3 * number
        squares.append(found.reshape(-1, size, size, 3))
        labels.append(np.tile(third, rows))
    return np.concatenate(squares), np.concatenate(labels).astype("int32")


def _separable(inputs, widths, classes):
    """Convolutions by channel and by place, with batch normalization."""
    x = layers.Conv2D(widths[0], 3, strides=2, padding="same")(inputs)
    for width in widths:
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.Conv2D(width, 1, use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


def photo_separable() -> Problem:
    """Squares of photographs, told apart by a network of depthwise separable
    convolutions: unseen are colors, photographs and these layers."""
    parts = data.split("photo_squares", *_cut(12), 500, classes=6)
    return Problem(
        lambda: _separable(keras.Input((12, 12, 3)), (12, 16), 6),
        parts,
        batch_size=16,
        name="photo_separable",
    )


def fashion_separable() -> Problem:
    """Clothes, told apart by depthwise separable convolutions: unseen are
    the images and these layers. Fashion-MNIST must be prepared."""
    clothes = load_dataset("fashion_mnist")
    clothes = clothes._replace(
        x_train=clothes.x_train[:20_000],
        y_train=clothes.y_train[:20_000],
        x_validation=clothes.x_validation[:1_000],
        y_validation=clothes.y_validation[:1_000],
    )
    return Problem(
        lambda: _separable(keras.Input((28, 28, 1)), (8, 16), 10),
        clothes,
        batch_size=8,
        name="fashion_separable",
    )


def denoising_unet() -> Problem:
    """Squares of photographs that are to lose their noise, by a U-net: unseen
    are images that come out, transposed convolutions and skips."""
    clean = _cut(16)[0].mean(axis=-1, keepdims=True)
    noise = np.random.default_rng(1).normal(scale=0.15, size=clean.shape)
    noisy = (clean + noise).astype("float32")

    def convolution(x, width):
        return layers.Conv2D(width, 3, padding="same", activation="silu")(x)

    def model():
        inputs = keras.Input((16, 16, 1))
        fine = convolution(inputs, 8)
        middle = convolution(layers.AveragePooling2D(2)(fine), 16)
        coarse = convolution(layers.AveragePooling2D(2)(middle), 24)
        for width, skip in ((16, middle), (8, fine)):
            up = layers.Conv2DTranspose(width, 2, strides=2)(coarse)
            coarse = convolution(layers.Concatenate()([up, skip]), width)
        return keras.Model(inputs, layers.Conv2D(1, 1)(coarse))

    squares = data.split("noisy_squares", noisy, clean, 256)
    return Problem(model, squares, "mse", 16, "denoising_unet")


def _drawn(count, images, labels, seed):
    """Tuples of digits, drawn with replacement, and their classes."""
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(images), size=(6_000, count))
    # Half of the tuples of two are of one class.
    if count == 2:
        for row in chosen[::2]:
            row[1] = rng.choice(np.flatnonzero(labels == labels[row[0]]))
    return images[chosen], labels[chosen]


def siamese_digits() -> Problem:
    """Whether two digits are the same, by the distance of their codes: unseen
    are twin networks and a loss of pairs."""
    digits = load_dataset("digits")

    def pairs(images, labels, seed):
        x, classes = _drawn(2, images, labels, seed)
        same = classes[:, :1] == classes[:, 1:]
        return x, same.astype("float32")

    x, y = pairs(digits.x_train, digits.y_train, 0)
    held = pairs(digits.x_validation, digits.y_validation, 1)

    def model():
        encoder = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Conv2D(8, 3, activation="leaky_relu"),
                layers.Conv2D(16, 3, strides=2, activation="leaky_relu"),
                layers.Flatten(),
                layers.Dense(16),
            ]
        )
        inputs = keras.Input((2, 8, 8, 1))
        distance = ops.abs(encoder(inputs[:, 0]) - encoder(inputs[:, 1]))
        return keras.Model(inputs, layers.Dense(1)(distance))

    return Problem(
        model,
        Dataset("digit_pairs", 0, x, y, held[0][:500], held[1][:500]),
        keras.losses.BinaryCrossentropy(from_logits=True),
        32,
        "siamese_digits",
    )


def set_of_digits() -> Problem:
    """The largest of four digits in any order: unseen are attention without
    places, a maximum over elements, and the task."""
    digits = load_dataset("digits")

    def sets(images, labels, seed):
        x, classes = _drawn(4, images.reshape(-1, 64), labels, seed)
        return x, classes.max(axis=1)

    x, y = sets(digits.x_train, digits.y_train, 0)
    held = sets(digits.x_validation, digits.y_validation, 1)

    def model():
        inputs = keras.Input((4, 64))
        x = layers.Dense(32, "gelu")(inputs)
        x = x + layers.MultiHeadAttention(2, 16)(x, x)
        x = layers.Dense(32, "gelu")(layers.LayerNormalization()(x))
        x = layers.GlobalMaxPooling1D()(x)
        return keras.Model(inputs, layers.Dense(10)(x))

    return Problem(
        model,
        Dataset("digit_sets", 10, x, y, held[0][:500], held[1][:500]),
        batch_size=32,
        name="set_of_digits",
    )
