"""Classifiers small enough to be trained thousands of times."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras

from keras_l2o.typing import Tensor


def mlp(
    input_shape: tuple[int, ...],
    classes: int,
    units: Sequence[int] = (20,),
    activation: str | Callable[[Tensor], Tensor] | None = "sigmoid",
    dtype: Any = None,
) -> keras.Model:
    """Makes a multilayer perceptron that returns logits.

    Args:
        input_shape: Tuple of ints, the shape of an image: height, width and
            channels.
        classes: Int. The number of logits.
        units: Tuple of ints. Widths of the hidden layers. Defaults to `(20,)`.
        activation: String or function, the activation of the hidden layers.
            Defaults to `"sigmoid"`.
        dtype: String or `keras.DTypePolicy` of the layers. Defaults to `None`,
            Keras's global dtype policy.

    Returns:
        A `keras.Sequential`, built.

    Example:

    >>> mlp = keras_l2o.problems.networks.mlp((8, 8, 1), 10, units=(5,))
    >>> mlp.output_shape, mlp.count_params()
    ((None, 10), 385)
    """
    layers = [keras.Input(input_shape, dtype=dtype)]
    layers.append(keras.layers.Flatten(dtype=dtype))
    for width in units:
        layers.append(
            keras.layers.Dense(width, activation=activation, dtype=dtype)
        )
    layers.append(keras.layers.Dense(classes, dtype=dtype))
    return keras.Sequential(layers, name="mlp")


def conv(
    input_shape: tuple[int, ...],
    classes: int,
    layers: Sequence[int | tuple[int, ...]] = ((16, 3), 2, (32, 5), 2),
    head: str = "dense",
    activation: str | Callable[[Tensor], Tensor] | None = "relu",
    dtype: Any = None,
) -> keras.Model:
    """Makes a convolutional classifier that returns logits.

    Args:
        input_shape: Tuple of ints, the shape of an image: height, width and
            channels.
        classes: Int. The number of logits.
        layers: Tuple with an entry for each layer. `(filters, width)` is a
            convolution, `(filters, width, stride)` one with a stride, and an
            int the size of a max pooling. A kernel or pool that is wider than
            its input is made as wide as that. Defaults to
            `((16, 3), 2, (32, 5), 2)`.
        head: String. With `"dense"` the dense layer reads every position, with
            `"average"` the mean over positions. Defaults to `"dense"`.
        activation: String or function, the activation of the convolutions.
            Defaults to `"relu"`.
        dtype: String or `keras.DTypePolicy` of the layers. Defaults to `None`,
            Keras's global dtype policy.

    Returns:
        A `keras.Sequential`, built.

    Raises:
        ValueError: There is no such `head`.

    Example:

    >>> conv = keras_l2o.problems.networks.conv((8, 8, 1), 10, ((4, 3), 2))
    >>> [layer.name.split("_")[0] for layer in conv.layers]
    ['conv2d', 'max', 'flatten', 'dense']
    """
    if head not in ("dense", "average"):
        raise ValueError(
            "Argument `head` must be 'dense' or 'average'. Received: "
            f"head={head!r}"
        )
    stack = [keras.Input(input_shape, dtype=dtype)]
    left = tuple(input_shape[:2])
    for layer in layers:
        if isinstance(layer, int):
            pool = tuple(min(layer, size) for size in left)
            stack.append(keras.layers.MaxPooling2D(pool, dtype=dtype))
            left = tuple(size // p for size, p in zip(left, pool))
        else:
            filters, width, stride = (*layer, 1)[:3]
            kernel = tuple(min(width, size) for size in left)
            stack.append(
                keras.layers.Conv2D(
                    filters,
                    kernel,
                    strides=stride,
                    activation=activation,
                    dtype=dtype,
                )
            )
            left = tuple(
                (size - k) // stride + 1 for size, k in zip(left, kernel)
            )
    if head == "average":
        stack.append(keras.layers.GlobalAveragePooling2D(dtype=dtype))
    else:
        stack.append(keras.layers.Flatten(dtype=dtype))
    stack.append(keras.layers.Dense(classes, dtype=dtype))
    return keras.Sequential(stack, name="conv")
