import numpy as np


class NoisyImages:
    """A data set whose training images never come twice.

    Each batch is drawn anew: Gaussian noise on the pixels, and some labels
    that are drawn at random. The loss has a floor above zero, and the gradient
    noise to the end: what a large data set is like, on a small one. Validation
    is as it was.

    Args:
        data: A `Dataset`.
        batch_size: Int.
        pixels: Float. Standard deviation of the noise; pixels are in `[0, 1]`.
        labels: Float in `[0, 1]`. Share of the labels that are drawn.
    """

    def __init__(self, data, batch_size, pixels, labels):
        self.data = data
        self.name, self.classes = f"{data.name}, noisy", data.classes
        self.x_validation = data.x_validation
        self.y_validation = data.y_validation
        self.batch_size = batch_size
        self.pixels, self.labels = pixels, labels

    def batches(self, rng, steps):
        """Batches `(steps, batch, ...)` of images and labels."""
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
