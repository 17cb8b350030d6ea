"""Data that never repeats, made of a small data set."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_l2o.problems.datasets import Dataset
from keras_l2o.problems.datasets import load
from keras_l2o.problems.problem import Problem


class NoisyImages:
    """A data set that never shows the same training image twice.

    Every image of every batch gets new Gaussian noise on its pixels, and a
    share of the labels is replaced by random ones. So a network cannot
    memorize the data: its loss stays above zero and its gradients stay noisy
    to the end, as on a large data set. The validation images are not changed.
    Without the noise the images come again after `epoch_steps` batches, as
    those that a user augments do.

    Args:
        data: A `Dataset`.
        batch_size: Int.
        pixels: Float. Standard deviation of the noise; pixels are in `[0, 1]`.
        labels: Float in `[0, 1]`. The share of labels that is replaced.
    """

    def __init__(
        self, data: Dataset, batch_size: int, pixels: float, labels: float
    ) -> None:
        self.data = data
        self.name, self.classes = f"{data.name}, noisy", data.classes
        self.x_validation = data.x_validation
        self.y_validation = data.y_validation
        self.batch_size = batch_size
        self.epoch_steps = len(data.x_train) // batch_size
        self.pixels, self.labels = pixels, labels

    def batches(
        self, rng: np.random.Generator, steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws batches.

        Args:
            rng: `numpy.random.Generator`.
            steps: Int. Number of batches.

        Returns:
            Images, float32 `(steps, batch, height, width, channels)`, and
            labels, int32 `(steps, batch)`.
        """
        data, shape = self.data, (steps, self.batch_size)
        chosen = rng.integers(len(data.x_train), size=shape)
        images = data.x_train[chosen]
        noise = rng.standard_normal(images.shape, "float32")
        labels = np.where(
            rng.uniform(size=shape) < self.labels,
            rng.integers(data.classes, size=shape),
            data.y_train[chosen],
        )
        return images + self.pixels * noise, labels.astype("int32")


def noisy_digits(
    name: str,
    model: Callable[[], keras.Model],
    batch_size: int,
    pixels: float = 0.2,
    labels: float = 0.03,
) -> Problem:
    """A classifier of digits that never repeat.

    Args:
        name: String.
        model: Function that returns a model of images `(8, 8, 1)`.
        batch_size: Int.
        pixels: Float, as in `NoisyImages`. Defaults to `0.2`.
        labels: Float, as in `NoisyImages`. Defaults to `0.03`.
    """
    data = NoisyImages(load("digits"), batch_size, pixels, labels)
    return Problem(model, data, batch_size=batch_size, name=name)


def images_then(*inner: Any) -> keras.Sequential:
    """A model of digits that has these layers."""
    return keras.Sequential([keras.Input((8, 8, 1)), *inner])
