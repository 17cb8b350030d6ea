"""Tensors of many shapes in a row of equal blocks, for an accelerator.

An accelerator starts each operation at a price. One operation for each tensor
and figure would be thousands for a transformer; here there are as many as for
a single tensor.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
from keras import ops

from keras_l2o.typing import Tensor

#: Each tensor is padded with zeros to a multiple of so many coordinates.
BLOCK = 1024
#: So many sums are added up at once.
WIDTH = 64


class Blocks:
    """Does what `rows.Rows` does, over all tensors at once.

    Args:
        shapes: List of the tensors' shapes.
    """

    def __init__(self, shapes: Sequence[Sequence[int]]) -> None:
        self.sizes = tuple(math.prod(shape) for shape in shapes)

    def join(self, tensors: Sequence[Tensor], features: int = 0) -> Tensor:
        """As `Rows.join`, with zeros behind each tensor."""
        parts = []
        for tensor, size in zip(tensors, self.sizes):
            before = tuple(tensor.shape[:features])
            parts.append(ops.reshape(tensor, (*before, size)))
            padding = BLOCK * _blocks(size) - size
            if padding:
                parts.append(ops.zeros((*before, padding), tensor.dtype))
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)

    def cut(self, row: Tensor) -> list[Tensor]:
        """As `Rows.cut`."""
        blocks = [_blocks(size) for size in self.sizes]
        starts = BLOCK * (np.cumsum(blocks) - blocks)
        return [
            row[..., start : start + size]
            for start, size in zip(starts.tolist(), self.sizes)
        ]

    def means(self, figures: Sequence[Tensor]) -> list[Tensor]:
        """As `Rows.means`. The order in which numbers are added is fixed."""
        sums = [
            ops.sum(ops.reshape(figure, (-1, BLOCK)), axis=-1)
            for figure in figures
        ]
        total = ops.stack(sums)
        for places in _levels(self.sizes):
            zero = ops.zeros((len(sums), 1), total.dtype)
            total = ops.concatenate([total, zero], axis=-1)
            total = ops.take(
                total, ops.convert_to_tensor(places, "int32"), axis=1
            )
            total = ops.sum(total, axis=-1)
        counts = np.maximum(self.sizes, 1).astype("float32")
        means = total / ops.convert_to_tensor(counts, total.dtype)
        return ops.unstack(means, len(sums))

    def combined(self, *terms: tuple[Tensor, Tensor]) -> list[Tensor]:
        """As `Rows.combined`."""
        owners = ops.convert_to_tensor(_owners(self.sizes), "int32")
        total = sum(
            ops.take(factors, owners)[:, None] * ops.reshape(row, (-1, BLOCK))
            for factors, row in terms
        )
        return self.cut(ops.reshape(total, (-1,)))


def _blocks(size):
    return max(math.ceil(size / BLOCK), 1)


@functools.lru_cache(maxsize=64)
def _owners(sizes):
    """The number of the tensor that each block belongs to."""
    return np.repeat(np.arange(len(sizes)), [_blocks(size) for size in sizes])


@functools.lru_cache(maxsize=64)
def _levels(sizes):
    """Which sums are added up, in steps until there is one for each tensor.

    Args:
        sizes: Tuple of ints.

    Returns:
        List of arrays `(sums, WIDTH)`, the places of what each new sum is of.
        A place behind the last one stands for zero.
    """
    levels = []
    counts = np.array([_blocks(size) for size in sizes], int)
    while counts.max(initial=1) > 1:
        after = -(-counts // WIDTH)
        places = np.full((after.sum(), WIDTH), counts.sum())
        first, row = 0, 0
        for count, rows in zip(counts, after):
            own = places[row : row + rows].reshape(-1)
            own[:count] = np.arange(first, first + count)
            first, row = first + count, row + rows
        levels.append(places)
        counts = after
    return levels
