"""Tiny problems whose embeddings are large, and of which few rows are used."""

import functools
from collections.abc import Callable

import keras
import numpy as np
from keras import layers
from keras import ops

from keras_l2o.problems import text
from keras_l2o.problems.drawn import Drawn
from keras_l2o.problems.drawn import LowRank
from keras_l2o.problems.functions import value_loss
from keras_l2o.problems.problem import Problem

#: How many words are told apart; all others are one.
WORDS = 1000


@functools.cache
def words() -> np.ndarray:
    """The words of Python's `help`, each as its place among the most usual.

    Returns:
        int32 array, of numbers below `WORDS`; 0 is any other word.
    """
    found, places, counts = np.unique(
        text.help_text().split(), return_inverse=True, return_counts=True
    )
    # Among words that are equally usual, in the order of the alphabet.
    order = np.argsort(-counts, kind="stable")[: WORDS - 1]
    numbers = np.zeros(len(found), "int32")
    numbers[order] = np.arange(1, WORDS)
    return numbers[places]


class Words:
    """Words of Python's documentation, and the one that follows.

    Args:
        batch_size: Int.
        length: Int. Words of an input.
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
            int32 arrays `(steps, batch, length)`, words, and `(steps, batch)`,
            the next one.
        """
        shape = (steps, self.batch_size)
        found = text.windows(words(), rng, shape, self.length)
        return found[..., :-1], found[..., -1]


def _next_word() -> Problem:
    """The next word after three, of a thousand."""

    def model():
        inputs = keras.Input((3,), dtype="int32")
        x = layers.Flatten()(layers.Embedding(WORDS, 16)(inputs))
        x = layers.Dense(32, "tanh")(x)
        return keras.Model(inputs, layers.Dense(WORDS)(x))

    return Problem(model, Words(32, 3), batch_size=32, name="tiny_next_word")


def _ratings() -> Problem:
    """A factorization of many rows and columns, some of which are rare."""
    rows, columns = 1500, 600

    def often_low(index, size):
        return ops.floor_divide(index * index, size)

    def model():
        *pair, noise = inputs = (
            keras.Input((), dtype="int32"),
            keras.Input((), dtype="int32"),
            keras.Input((1,)),
        )
        pair = [often_low(i, n) for i, n in zip(pair, (rows, columns))]
        left, right = (
            layers.Embedding(n, 8)(i) for i, n in zip(pair, (rows, columns))
        )
        shift = layers.Embedding(columns, 1, "zeros")(pair[1])[:, 0]
        target = LowRank(rows, columns, 2)(pair) + 0.3 * noise[:, 0]
        error = ops.sum(left * right, axis=-1) + shift - target
        return keras.Model(inputs, ops.square(error))

    data = Drawn(128, integers=(rows, columns), normal=((1,),))
    return Problem(model, data, value_loss, 128, "tiny_ratings")


#: What makes each problem, by its name.
MAKERS: dict[str, Callable[[], Problem]] = {
    f"tiny{make.__name__}": make for make in (_next_word, _ratings)
}
