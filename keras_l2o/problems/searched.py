"""A network whose cell was found by architecture search."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

#: The best cell for CIFAR-10 of NAS-Bench-201: for each node the edges into
#: it, as (source, operation).
CELL = (
    ((0, "conv_3x3"),),
    ((0, "conv_3x3"), (1, "conv_3x3")),
    ((0, "skip"), (1, "conv_3x3"), (2, "conv_3x3")),
)


def nas(
    input_shape: tuple[int, ...],
    classes: int,
    filters: int = 16,
    cells: int = 3,
    cell: Sequence[Sequence[tuple[int, str]]] = CELL,
    dtype: Any = None,
) -> keras.Model:
    """Makes a classifier of branched cells that returns logits.

    A convolution comes first, then the cells with a max pooling of 2 between
    them, then a mean over positions and a dense layer.

    Args:
        input_shape: Tuple of ints, the shape of an image: height, width and
            channels.
        classes: Int. The number of logits.
        filters: Int. Filters of every convolution. Defaults to `16`.
        cells: Int. How many cells there are. Defaults to `3`.
        cell: Tuple with an entry for each node of the cell but the input,
            which is node 0. An entry is a tuple of edges
            `(source node, operation)`, and the node is the sum of what its
            edges give; the last node is the cell's output. Operations are
            `"skip"`, `"conv_1x1"`, `"conv_3x3"` and `"average_3x3"`. Defaults
            to the best cell for CIFAR-10 of NAS-Bench-201.
        dtype: String or `keras.DTypePolicy` of the layers. Defaults to `None`,
            Keras's global dtype policy.

    Returns:
        A `keras.Model`, built.

    Raises:
        ValueError: There is no such operation.

    Example:

    >>> cell = (((0, "conv_1x1"),), ((0, "skip"), (1, "conv_3x3")))
    >>> searched = keras_l2o.problems.nas((8, 8, 1), 10, cells=1, cell=cell)
    >>> searched.output_shape
    (None, 10)

    Reference:
        - [Dong and Yang, 2020](https://arxiv.org/abs/2001.00326)
    """
    inputs = keras.Input(input_shape, dtype=dtype)
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, dtype=dtype)(
        inputs
    )
    x = layers.BatchNormalization(dtype=dtype)(x)
    for index in range(cells):
        if index:
            pool = tuple(min(2, size) for size in x.shape[1:3])
            x = layers.MaxPooling2D(pool, dtype=dtype)(x)
        x = _cell(x, filters, cell, dtype)
    x = layers.BatchNormalization(dtype=dtype)(x)
    x = layers.Activation("relu", dtype=dtype)(x)
    x = layers.GlobalAveragePooling2D(dtype=dtype)(x)
    outputs = layers.Dense(classes, dtype=dtype)(x)
    return keras.Model(inputs, outputs, name="nas")


def _cell(x, filters, cell, dtype):
    nodes = [x]
    for edges in cell:
        terms = [
            _edge(nodes[source], operation, filters, dtype)
            for source, operation in edges
        ]
        nodes.append(
            layers.Add(dtype=dtype)(terms) if len(terms) > 1 else terms[0]
        )
    return nodes[-1]


def _edge(x, operation, filters, dtype):
    if operation == "skip":
        return x
    if operation == "average_3x3":
        return layers.AveragePooling2D(
            3, strides=1, padding="same", dtype=dtype
        )(x)
    if operation not in ("conv_1x1", "conv_3x3"):
        raise ValueError(
            "An operation of argument `cell` must be 'skip', 'conv_1x1', "
            f"'conv_3x3' or 'average_3x3'. Received: {operation!r}"
        )
    x = layers.Activation("relu", dtype=dtype)(x)
    x = layers.Conv2D(
        filters, int(operation[-1]), padding="same", use_bias=False, dtype=dtype
    )(x)
    return layers.BatchNormalization(dtype=dtype)(x)
