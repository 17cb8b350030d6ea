"""Residual networks, as deep and as wide as asked for."""

from typing import Any

import keras
from keras import layers


def resnet(
    input_shape: tuple[int, ...],
    classes: int,
    depth: int = 28,
    width: int = 1,
    dtype: Any = None,
) -> keras.Model:
    """Makes a residual classifier with pre-activation that returns logits.

    It has three groups of blocks, with 16, 32 and 64 times `width` filters.
    The second and the third group halve the height and width of the image.

    Args:
        input_shape: Tuple of ints, the shape of an image: height, width and
            channels.
        classes: Int. The number of logits.
        depth: Int of the form `6 n + 4`, which gives each group `n` blocks of
            two convolutions. Defaults to `28`.
        width: Int. Multiplies the filters. Defaults to `1`.
        dtype: String or `keras.DTypePolicy` of the layers. Defaults to `None`,
            Keras's global dtype policy.

    Returns:
        A `keras.Model`, built.

    Raises:
        ValueError: `depth` is not of this form.

    Example:

    >>> resnet = keras_l2o.problems.resnet((8, 8, 1), 10, depth=10)
    >>> resnet.output_shape
    (None, 10)

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
