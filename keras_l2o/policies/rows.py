"""Tensors of many shapes in a row, and the row in pieces again."""

import math
from collections.abc import Sequence

import numpy as np
from keras import ops

from keras_l2o.typing import Tensor


def grouped(
    sizes: Sequence[int], least: float, most: float = math.inf
) -> list[list[int]]:
    """Cuts a list of tensors into runs of at least so many coordinates.

    Args:
        sizes: List of ints, the tensors' coordinates.
        least: Number. A run ends with the tensor that brings it to this size.
        most: Number. Or with the tensor that makes it so many tensors.
            Defaults to no bound.

    Returns:
        List of lists of indices.
    """
    runs: list[list[int]] = []
    total = math.inf
    for index, size in enumerate(sizes):
        if total >= least or len(runs[-1]) >= most:
            runs.append([])
            total = 0
        runs[-1].append(index)
        total += size
    return runs


def joined(tensors, features=0):
    """Tensors in one row, behind so many axes of features."""
    flat = [
        ops.reshape(tensor, (*tensor.shape[:features], -1))
        for tensor in tensors
    ]
    return flat[0] if len(flat) == 1 else ops.concatenate(flat, axis=-1)


def cut(row, sizes):
    """Pieces of these sizes along the last axis."""
    ends = np.cumsum(sizes)[:-1].tolist()
    return ops.split(row, ends, axis=-1) if ends else [row]


class Rows:
    """Joins tensors, and does what is done for each, tensor by tensor.

    What a processor has in its cache is then used again.

    Args:
        shapes: List of the tensors' shapes.
    """

    def __init__(self, shapes: Sequence[Sequence[int]]) -> None:
        self.sizes = [math.prod(shape) for shape in shapes]

    def join(self, tensors: Sequence[Tensor], features: int = 0) -> Tensor:
        """The tensors in one row, behind so many axes of features."""
        return joined(tensors, features)

    def cut(self, row: Tensor) -> list[Tensor]:
        """The part of each tensor in such a row, `(..., coordinates)`."""
        return cut(row, self.sizes)

    def means(self, figures: Sequence[Tensor]) -> list[Tensor]:
        """Means over each tensor of what its coordinates have.

        Args:
            figures: List of rows.

        Returns:
            For each figure, a tensor `(tensors,)`.
        """
        parts = self.cut(ops.stack(figures))
        means = ops.stack([ops.mean(part, axis=-1) for part in parts], axis=1)
        return ops.unstack(means, len(figures))

    def combined(self, *terms: tuple[Tensor, Tensor]) -> list[Tensor]:
        """Sums of rows, each times a factor of each tensor.

        Args:
            *terms: Pairs of factors `(tensors,)` and a row.

        Returns:
            For each tensor, its part of the sum.
        """
        cuts = [(factors, self.cut(row)) for factors, row in terms]
        return [
            sum(factors[index] * parts[index] for factors, parts in cuts)
            for index in range(len(self.sizes))
        ]


class Sums(Rows):
    """Some rows of one tensor, of however many: sums take the place of means.

    Args:
        shapes: List of the shape of these rows, whose number need not be known.
    """

    def __init__(self, shapes: Sequence[Sequence[int | None]]) -> None:
        assert len(shapes) == 1

    def cut(self, row: Tensor) -> list[Tensor]:
        return [row]

    def means(self, figures: Sequence[Tensor]) -> list[Tensor]:
        """Sums over the rows, each a tensor `(1,)`."""
        return [ops.sum(figure, axis=-1, keepdims=True) for figure in figures]
