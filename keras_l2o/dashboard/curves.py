"""Many runs of many steps, thinned to what a picture can show."""

from collections.abc import Iterable

import numpy as np

#: Most points of a curve of training losses.
POINTS = 48


def thinned(values: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of neighbouring steps.

    Args:
        values: Array `(runs, steps)`.
        points: Int, the most points to keep.

    Returns:
        The last step that each point stands for, counted from 1, as an array
        `(points,)`, and the means, as an array `(runs, points)`.
    """
    steps = values.shape[1]
    ends = np.unique(np.linspace(0, steps, min(points, steps) + 1).astype(int))
    starts, ends = ends[:-1], ends[1:]
    if not len(ends):
        return ends, np.zeros((len(values), 0))
    sums = np.add.reduceat(values.astype("float64"), starts, axis=1)
    return ends, sums / (ends - starts)


def band(values: np.ndarray) -> list[list[float | None]]:
    """The middle of some runs, and the range between them.

    Args:
        values: Array `(runs, points)`. A value that is not finite does not
            count.

    Returns:
        List of three lists of `points` numbers: the median, the least and the
        greatest. One run has the first of them alone.
    """
    values = np.asarray(values, "float64")
    seen = np.where(np.isfinite(values), values, np.nan)
    if not len(seen):
        return [[]]
    some = ~np.isnan(seen).all(axis=0)
    known = seen[:, some]
    rows = [np.nanmedian(known, axis=0)]
    if len(seen) > 1:
        rows += [np.nanmin(known, axis=0), np.nanmax(known, axis=0)]
    found = np.full((len(rows), seen.shape[1]), np.nan)
    found[:, some] = rows
    return [numbers(row) for row in found]


def numbers(values: Iterable[float]) -> list[float | None]:
    """Numbers as JSON has them, each of four digits; see `number`."""
    return [number(value) for value in values]


def number(value: float | None) -> float | None:
    """A number of four digits; `None` if it is not finite."""
    if value is None or not np.isfinite(value):
        return None
    short = float(f"{float(value):.4g}")
    return int(short) if short.is_integer() and abs(short) < 1e9 else short
