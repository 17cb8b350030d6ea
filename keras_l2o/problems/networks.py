"""Classifiers small enough to be trained thousands of times."""

import keras


def mlp(input_shape, classes, units=(20,), activation="sigmoid", dtype=None):
    """A multilayer perceptron that ends in logits.

    Args:
        input_shape: Tuple of ints, without the batch.
        classes: Int.
        units: Tuple of ints. Widths of the hidden layers. Defaults to `(20,)`.
        activation: Defaults to `"sigmoid"`.
        dtype: Defaults to Keras's.
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
    input_shape,
    classes,
    layers=((16, 3), 2, (32, 5), 2),
    head="dense",
    activation="relu",
    dtype=None,
):
    """A convolutional classifier that ends in logits.

    Args:
        input_shape: Tuple of ints, without the batch.
        classes: Int.
        layers: Tuple; a pair is a convolution's filters and kernel size, a
            third number its stride, an int the size of a max pooling. A
            kernel or a pool wider than what is left of the image is clipped
            to what is left.
        head: `"dense"`, or `"average"`: a mean over positions before the
            dense layer. Defaults to `"dense"`.
        activation: Of the convolutions. Defaults to `"relu"`.
        dtype: Defaults to Keras's.
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
