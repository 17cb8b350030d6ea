"""Residual networks, as deep and as wide as asked for."""

import keras
from keras import layers


def resnet(input_shape, classes, depth=28, width=1, dtype=None):
    """A residual classifier with pre-activation that ends in logits.

    Three groups of blocks with 16, 32 and 64 times `width` filters; the
    second and the third group halve the image.

    Args:
        input_shape: Tuple of ints, without the batch.
        classes: Int.
        depth: Int of the form `6 n + 4`: `n` blocks of two convolutions in
            each group. Defaults to `28`.
        width: Int. Multiplies the filters. Defaults to `1`.
        dtype: Defaults to Keras's.

    Reference:
        - [Zagoruyko and Komodakis, 2016](https://arxiv.org/abs/1605.07146)
    """
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(
            "Argument `depth` must be of the form 6 n + 4, with n at least 1. "
            f"Received: depth={depth}"
        )
    inputs = keras.Input(input_shape, dtype=dtype)
    x = _conv(inputs, 16, dtype=dtype)
    for group in range(3):
        for block in range((depth - 4) // 6):
            stride = 2 if group and not block else 1
            x = _block(x, 16 * 2**group * width, stride, dtype)
    x = _normalize(x, dtype)
    x = layers.GlobalAveragePooling2D(dtype=dtype)(x)
    outputs = layers.Dense(classes, dtype=dtype)(x)
    return keras.Model(inputs, outputs, name="resnet")


def _block(x, filters, stride, dtype):
    normalized = _normalize(x, dtype)
    if x.shape[-1] == filters and stride == 1:
        shortcut = x
    else:
        shortcut = _conv(normalized, filters, 1, stride, dtype)
    y = _conv(normalized, filters, 3, stride, dtype)
    y = _conv(_normalize(y, dtype), filters, dtype=dtype)
    return layers.Add(dtype=dtype)([shortcut, y])


def _normalize(x, dtype):
    x = layers.BatchNormalization(dtype=dtype)(x)
    return layers.Activation("relu", dtype=dtype)(x)


def _conv(x, filters, kernel=3, stride=1, dtype=None):
    return layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        dtype=dtype,
    )(x)
