"""Matrices whose singular values are near one, from any of their shape."""

import math
from collections.abc import Sequence

from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.typing import Tensor

#: Of the polynomial `a x + b x^3 + c x^5`, and how often it is applied.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def matrix_shape(shape: Sequence[int]) -> tuple[int, int] | None:
    """Rows and columns of a tensor as a matrix: all but the last axis are rows.

    Args:
        shape: The tensor's shape.

    Returns:
        Pair of ints, or `None` if there are not two of both.
    """
    if len(shape) < 2:
        return None
    rows, columns = math.prod(shape[:-1]), shape[-1]
    return (rows, columns) if min(rows, columns) > 1 else None


def orthogonalized(matrices: Tensor, epsilon: float) -> Tensor:
    """Sets the singular values of matrices near to one, and their entries too.

    With `M = U S V^T`, the result is about `sqrt(n) U V^T`, where `n` is the
    larger of rows and columns. So the root mean square of its entries is near
    to one, whatever the size of `M`; a row or column of zeros stays zero, and
    the result flips with the sign of `M`.

    Args:
        matrices: Tensor `(..., rows, columns)` with no more rows than columns.
        epsilon: Float. Added to the sum of squares under the root.

    Returns:
        Tensor of the same shape. Singular values of `U V^T` come out between
        0.7 and 1.2; small ones, relative to the norm, below that.

    Reference:
        - [Jordan et al., 2024](https://kellerjordan.github.io/posts/muon/)
    """
    a, b, c = COEFFICIENTS
    dtype = matrices.dtype
    total = ops.sum(ops.square(matrices), axis=(-2, -1), keepdims=True)
    start = matrices * numerics.inverse_root(total, epsilon)
    if not backend.on_processor():
        # Accelerators multiply halves several times as fast. The result then
        # differs by some 0.05 of its norm, and its singular values spread no
        # wider than five iterations leave them.
        start = ops.cast(start, "bfloat16")

    def body(matrix, _):
        square = ops.matmul(matrix, ops.swapaxes(matrix, -1, -2))
        polynomial = b * square + c * ops.matmul(square, square)
        return a * matrix + ops.matmul(polynomial, matrix), ()

    result, _ = backend.scan(
        body, start, ops.zeros((ITERATIONS,)), ITERATIONS, outputs=()
    )
    return math.sqrt(matrices.shape[-1]) * ops.cast(result, dtype)


def right_factor(gram: Tensor, rows: int, epsilon: float) -> Tensor:
    """What `orthogonalized` multiplies a matrix of many rows with.

    Its polynomial of a matrix `M` is `M` times one of `M^T M`. So rows can be
    had without the others.

    Args:
        gram: `M^T M`, `(columns, columns)`.
        rows: Int. How many rows `M` has, no fewer than columns.
        epsilon: As for `orthogonalized`.

    Returns:
        Tensor `(columns, columns)`.
    """
    a, b, c = COEFFICIENTS
    one = ops.eye(gram.shape[0], dtype=gram.dtype)
    scale = numerics.inverse_root(ops.sum(one * gram), epsilon)
    square, factor = ops.square(scale) * gram, math.sqrt(rows) * scale * one
    for _ in range(ITERATIONS):
        polynomial = b * square + c * ops.matmul(square, square) + a * one
        factor = ops.matmul(factor, polynomial)
        square = ops.matmul(polynomial, ops.matmul(square, polynomial))
    return factor


def multiplications(rows: int, columns: int) -> int:
    """How much `orthogonalized` multiplies for a matrix.

    Args:
        rows: Int.
        columns: Int.

    Returns:
        Int, that of the three products of all iterations.
    """
    short, long = sorted((rows, columns))
    return ITERATIONS * (2 * short * short * long + short**3)


def each_orthogonalized(
    parts: Sequence[Tensor], shapes: Sequence[Sequence[int]], epsilon: float
) -> list[Tensor]:
    """Orthogonalizes tensors, those of one size together.

    Args:
        parts: List of tensors in a row, `(coordinates,)`.
        shapes: List of their shapes.
        epsilon: As for `orthogonalized`.

    Returns:
        List of tensors `(coordinates,)`; of a vector, zeros.
    """
    results = [ops.zeros_like(part) for part in parts]
    matrices = [matrix_shape(shape) for shape in shapes]
    groups: dict[tuple[int, int], list[int]] = {}
    for index, matrix in enumerate(matrices):
        if matrix is not None:
            groups.setdefault((min(matrix), max(matrix)), []).append(index)
    for lying, indices in groups.items():
        stacked = ops.stack(
            [
                _turned(ops.reshape(parts[i], matrices[i]), matrices[i], lying)
                for i in indices
            ]
        )
        found = orthogonalized(stacked, epsilon)
        for i, matrix in zip(indices, ops.unstack(found, len(indices))):
            results[i] = ops.reshape(_turned(matrix, matrices[i], lying), (-1,))
    return results


def _turned(matrix, shape, lying):
    """The matrix, transposed unless its tensor's shape is the lying one."""
    return matrix if shape == lying else ops.transpose(matrix)
