"""Tensors of many shapes in a row, and the row in pieces again."""

import math
from collections.abc import Sequence

import numpy as np
from keras import ops


def grouped(sizes: Sequence[int], least: int) -> list[list[int]]:
    """Cuts a list of tensors into runs of at least so many coordinates.

    Args:
        sizes: List of ints, the tensors' coordinates.
        least: Int. A run ends with the tensor that brings it to this size.

    Returns:
        List of lists of indices.
    """
    runs: list[list[int]] = []
    total = math.inf
    for index, size in enumerate(sizes):
        if total >= least:
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
