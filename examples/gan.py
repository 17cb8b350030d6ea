"""A generative adversarial network, with two learned optimizers in one model.

    KERAS_BACKEND=tensorflow python examples/gan.py

It shows a `train_step` of your own with an optimizer for each of two networks.
One callback `Horizon` tells both how long `fit` is. How good the generator is,
is Fréchet's distance between what it draws and the digits, as normal
distributions of their 64 pixels; zero is best.

Neither network minimizes a loss that stays as it is, which is not what
`general` was made for. With nothing set it loses: its discriminator wins, and
the generator learns little. With 0.3 of its update, which was tried after that
(the other rates were not), it is far ahead. One seed, TensorFlow, two processor
cores, 2 minutes:

                          discriminator         before          after  CPU s
    general                       0.054         11.073          9.249     61
    Adam 0.0002, 0.5              0.603         11.073          2.363     30
    general at 0.3                0.601         11.073          0.469     71
    AdamW 0.001, cosine           0.253         11.073          4.938     32
    Adam 0.001                    0.452         11.073          2.612     29
    tensorflow, 1 seeds, 3.7 minutes of CPU
"""

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import side_by_side
from keras import layers
from keras import ops

import keras_l2o

BATCH = 64
NOISE = 16


def hidden(*units):
    return [layers.Dense(size, activation="leaky_relu") for size in units]


class GAN(keras.Model):
    """A generator of images, and a discriminator that tells them from real."""

    def __init__(self):
        super().__init__()
        self.generator = keras.Sequential(
            [
                keras.Input((NOISE,)),
                *hidden(128, 128),
                layers.Dense(64, activation="sigmoid"),
                layers.Reshape((8, 8, 1)),
            ]
        )
        self.discriminator = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Flatten(),
                *hidden(128),
                layers.Dropout(0.3),
                *hidden(64),
                layers.Dense(1),
            ]
        )
        self.loss_of = keras.losses.BinaryCrossentropy(from_logits=True)
        self.seeds = keras.random.SeedGenerator(0)

    def compile(self, generator_optimizer, discriminator_optimizer):
        super().compile()
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer

    def call(self, noise):
        return self.generator(noise)

    def train_step(self, real):
        import tensorflow as tf

        noise = keras.random.normal((BATCH, NOISE), seed=self.seeds)
        labels = ops.concatenate([ops.ones((BATCH, 1)), ops.zeros((BATCH, 1))])
        with tf.GradientTape(persistent=True) as tape:
            drawn = self.generator(noise, training=True)
            both = ops.concatenate([real, drawn])
            logits = self.discriminator(both, training=True)
            discriminator_loss = self.loss_of(labels, logits)
            generator_loss = self.loss_of(labels[:BATCH], logits[BATCH:])
        losses = generator_loss, discriminator_loss
        networks = self.generator, self.discriminator
        optimizers = self.generator_optimizer, self.discriminator_optimizer
        for loss, network, optimizer in zip(losses, networks, optimizers):
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.apply(gradients, network.trainable_variables)
        return dict(zip(("generator_loss", "discriminator_loss"), losses))


def distance(images, others):
    """Fréchet's distance between two sets of images."""
    images, others = images.reshape(-1, 64), others.reshape(-1, 64)
    mean, spread = images.mean(0), np.cov(images.T)
    other_mean, other_spread = others.mean(0), np.cov(others.T)
    # The trace of the root of a product, by its eigenvalues.
    values = np.linalg.eigvals(spread @ other_spread)
    root = np.sqrt(np.clip(values.real, 0.0, None)).sum()
    gap = np.square(mean - other_mean).sum()
    return float(gap + np.trace(spread) + np.trace(other_spread) - 2 * root)


class Distances(keras.callbacks.Callback):
    """Measures the generator before the training and after each epoch."""

    def __init__(self, real):
        super().__init__()
        self.real, self.found = real, []
        noise = np.random.default_rng(0).normal(size=(2_000, NOISE))
        self.noise = noise.astype("float32")

    def on_train_begin(self, logs=None):
        self.on_epoch_end(0)

    def on_epoch_end(self, epoch, logs=None):
        drawn = ops.convert_to_numpy(self.model.generator(self.noise))
        self.found.append(distance(self.real, drawn))


def optimizers():
    """As `side_by_side.fitted`; each is made twice, for two networks."""
    horizon, learned = keras_l2o.callbacks.Horizon, keras_l2o.from_hub
    adam, adamw = keras.optimizers.Adam, keras.optimizers.AdamW
    return {
        "general": lambda: (learned("general"), [horizon()]),
        "Adam 0.0002, 0.5": lambda: (adam(2e-4, beta_1=0.5), []),
        "general at 0.3": lambda: (
            learned("general", learning_rate=0.3),
            [horizon()],
        ),
        "AdamW 0.001, cosine": lambda: (adamw(0.001), [horizon(warmup=0.05)]),
        "Adam 0.001": lambda: (adam(), []),
    }


def main(argv=None):
    if keras.backend.backend() != "tensorflow":
        sys.exit("This `train_step` is TensorFlow's: KERAS_BACKEND=tensorflow.")
    arguments = side_by_side.arguments(__doc__, argv, seeds=1, epochs=(100, 3))
    digits = keras_l2o.problems.load_dataset("digits")
    images = digits.x_train[: len(digits.x_train) // BATCH * BATCH]

    def train(make, seed):
        (one, callbacks), (other, _) = make(), make()
        keras.utils.set_random_seed(seed)
        distances = Distances(digits.x_train)
        model = GAN()
        model.compile(one, other)
        history = model.fit(
            images, batch_size=BATCH, epochs=arguments.epochs, verbose=0,
            callbacks=[*callbacks, distances],
        ).history  # fmt: skip
        figures = {
            "discriminator": history["discriminator_loss"][-1],
            "before": distances.found[0],
            "after": distances.found[-1],
        }
        return distances.found, figures

    found = optimizers()
    if arguments.short:
        found = dict(list(found.items())[:2])
    return side_by_side.compare(train, found, arguments.seeds)


if __name__ == "__main__":
    main()
