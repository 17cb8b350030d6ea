"""Text that comes with Python, as characters."""

import functools
from collections.abc import Callable

import keras
import numpy as np

from keras_l2o.problems.problem import Problem

#: Lower-case letters, the space, and a few marks; all else is a space.
ALPHABET = " abcdefghijklmnopqrstuvwxyz.,;:()'\"-=_0123456789"
SYMBOLS = len(ALPHABET)


@functools.cache
def help_text() -> str:
    """The texts of Python's `help`, in lower case, with single spaces."""
    from pydoc_data.topics import topics

    joined = " ".join(topics[name] for name in sorted(topics)).lower()
    return " ".join(joined.split())


@functools.cache
def documentation() -> np.ndarray:
    """The texts of Python's `help`, each character as its number.

    Returns:
        int32 array `(characters,)`, some 600,000, of numbers below `SYMBOLS`.
    """
    return np.array(
        [max(ALPHABET.find(character), 0) for character in help_text()], "int32"
    )


def windows(
    series: np.ndarray,
    rng: np.random.Generator,
    shape: tuple[int, ...],
    length: int,
) -> np.ndarray:
    """Draws pieces of a series, each with what follows it.

    Args:
        series: Array of one axis.
        rng: `numpy.random.Generator`.
        shape: Tuple of ints, how many pieces.
        length: Int. Numbers of a piece without what follows it.

    Returns:
        Array `(*shape, length + 1)`.
    """
    starts = rng.integers(len(series) - length, size=(*shape, 1))
    return series[starts + np.arange(length + 1)]


class Text:
    """Windows of Python's documentation, and the characters that follow.

    Args:
        batch_size: Int.
        length: Int. Characters of a window.
    """

    def __init__(self, batch_size: int, length: int) -> None:
        self.batch_size, self.length = batch_size, length

    def batches(
        self, rng: np.random.Generator, steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws batches.

        Args:
            rng: `numpy.random.Generator`.
            steps: Int. Number of batches.

        Returns:
            Two int32 arrays `(steps, batch, length)`: characters, and the one
            that comes after each.
        """
        shape = (steps, self.batch_size)
        found = windows(documentation(), rng, shape, self.length)
        return found[..., :-1], found[..., 1:]


def next_characters(
    name: str,
    model: Callable[[], keras.Model],
    batch_size: int,
    length: int,
) -> Problem:
    """The next character at each place of Python's documentation.

    Args:
        name: String.
        model: Function that returns a model of int32 `(length,)`.
        batch_size: Int.
        length: Int. Characters of a window.
    """
    data = Text(batch_size, length)
    return Problem(model, data, batch_size=batch_size, name=name)
