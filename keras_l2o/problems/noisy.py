"""Data that never repeats, made of a small data set."""

import numpy as np

from keras_l2o.problems.datasets import Dataset


class NoisyImages:
    """A data set that never shows the same training image twice.

    Every image of every batch gets new Gaussian noise on its pixels, and a
    share of the labels is replaced by random ones. So a network cannot
    memorize the data: its loss stays above zero and its gradients stay noisy
    to the end, as on a large data set. The validation images are not changed.

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
