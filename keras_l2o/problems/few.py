"""Tiny problems with so few examples that a network learns them by heart."""

from collections.abc import Callable
from typing import Any
from typing import Protocol

import keras
import numpy as np
from keras import layers
from keras import ops

from keras_l2o.problems import text
from keras_l2o.problems.datasets import load
from keras_l2o.problems.drawn import Drawn
from keras_l2o.problems.drawn import RandomTeacher
from keras_l2o.problems.functions import value_loss
from keras_l2o.problems.noisy import NoisyImages
from keras_l2o.problems.noisy import images_then
from keras_l2o.problems.problem import Problem


class _Batches(Protocol):
    def batches(
        self, rng: np.random.Generator, steps: int
    ) -> tuple[Any, Any]: ...


class Few:
    """A few batches of other data, mixed again and again.

    Each call draws a few batches and makes all others of their examples. So
    what a network learns by heart in one call is of no use in the next, as it
    is with data that were kept apart.

    Args:
        data: What draws the batches.
        batches: Int. How many it draws.

    Attributes:
        epoch_steps: Int. As `batches`.
    """

    def __init__(self, data: _Batches, batches: int) -> None:
        self.data, self.epoch_steps = data, batches

    def batches(self, rng: np.random.Generator, steps: int) -> tuple[Any, Any]:
        """Draws batches.

        Args:
            rng: `numpy.random.Generator`.
            steps: Int. Number of batches.

        Returns:
            What the other data's `batches` returns, of these examples.
        """
        found = self.data.batches(rng, self.epoch_steps)
        count, size = keras.tree.flatten(found)[0].shape[:2]
        examples = count * size
        # Each epoch shows every example once.
        epochs = -(-steps // count)
        order = np.stack([rng.permutation(examples) for _ in range(epochs)])
        chosen = order.reshape(-1, size)[:steps]
        return keras.tree.map_structure(
            lambda leaf: leaf.reshape(examples, *leaf.shape[2:])[chosen], found
        )


def _few_digits() -> Problem:
    """A perceptron and 128 digits, some of them with wrong labels."""
    digits = NoisyImages(load("digits"), 16, pixels=0.1, labels=0.05)
    return Problem(
        lambda: images_then(
            layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(10)
        ),
        Few(digits, 8),
        batch_size=16,
        name="tiny_few_digits",
    )


def _few_rows() -> Problem:
    """Regression on 192 rows of a table, whose target is half noise."""

    def model():
        x, noise = inputs = keras.Input((10,)), keras.Input((1,))
        hidden = layers.Dense(48, "relu")(x)
        hidden = layers.Dense(48, "relu")(hidden)
        target = RandomTeacher()(x) + 0.6 * noise
        return keras.Model(inputs, ops.square(layers.Dense(1)(hidden) - target))

    data = Few(Drawn(32, normal=((10,), (1,))), 6)
    return Problem(model, data, value_loss, 32, "tiny_few_rows")


def _few_windows() -> Problem:
    """A convolution over 64 windows of characters."""

    def model():
        inputs = keras.Input((12,), dtype="int32")
        x = layers.Embedding(text.SYMBOLS, 16)(inputs)
        x = layers.Conv1D(32, 4, padding="causal", activation="relu")(x)
        return keras.Model(inputs, layers.Dense(text.SYMBOLS)(x))

    data = Few(text.Text(16, 12), 4)
    return Problem(model, data, batch_size=16, name="tiny_few_windows")


def _few_images() -> Problem:
    """Convolutions, batch normalization and 192 digits."""
    digits = NoisyImages(load("digits"), 32, pixels=0.3, labels=0.1)
    return Problem(
        lambda: images_then(
            layers.Conv2D(12, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(16, 3, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ),
        Few(digits, 6),
        batch_size=32,
        name="tiny_few_images",
    )


def _few_votes() -> Problem:
    """Two classes of 240 rows, with noise before the sign that is the label."""

    def model():
        x, noise = inputs = keras.Input((24,)), keras.Input((1,))
        hidden = layers.Dense(32, "tanh")(x)
        hidden = layers.Dense(32, "tanh")(hidden)
        sign = ops.sign(2.0 * RandomTeacher()(x) + noise)
        logits = layers.Dense(1)(hidden)
        return keras.Model(inputs, ops.softplus(-sign * logits))

    data = Few(Drawn(24, normal=((24,), (1,))), 10)
    return Problem(model, data, value_loss, 24, "tiny_few_votes")


#: What makes each problem, by its name.
MAKERS: dict[str, Callable[[], Problem]] = {
    f"tiny{make.__name__}": make
    for make in (_few_digits, _few_rows, _few_windows, _few_images, _few_votes)
}
