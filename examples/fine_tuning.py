"""Fine-tuning: a network of some digits learns others, with frozen layers.

    python examples/fine_tuning.py

A convolutional network learns the digits 0 to 4. Its body is frozen, and a new
head learns the digits 5 to 9 from a hundred images. Then all of it is trained,
with steps of a tenth. It shows a new optimizer for each phase, `Horizon` for
each, and that what is frozen stays as it is.

Two seeds, mean and spread, JAX, 3.8 minutes of processor time in all:

                                0 to 4       new head      all of it  CPU s
    general              0.997 ± 0.003  0.915 ± 0.008  0.935 ± 0.004     68
    AdamW 0.003, cosine      0.988 ± 0   0.546 ± 0.03   0.804 ± 0.03     18
    AdamW 0.01, cosine   0.991 ± 0.003   0.735 ± 0.02  0.888 ± 0.004     14
    Adam 0.001               0.982 ± 0   0.454 ± 0.09  0.773 ± 0.004     15
"""

import keras
import numpy as np
import side_by_side
from keras import layers

import keras_l2o

BATCH = 32
#: The rates of the last phase, as shares of those of the phases before.
SHARE = 0.1


def some_digits(low):
    """Images of five digits from `low` on, to train and to validate on."""
    digits = keras_l2o.problems.load_dataset("digits")
    for x, y in (
        (digits.x_train, digits.y_train),
        (digits.x_validation, digits.y_validation),
    ):
        chosen = (y >= low) & (y < low + 5)
        yield x[chosen], y[chosen] - low


def convolutions():
    """The body of the network."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
        ]
    )


def fitted(model, phase, data, epochs, share=1.0):
    """Trains a model; returns the losses of the epochs."""
    optimizer, callbacks = phase
    if share != 1.0:
        # Of `general` it multiplies the update, of AdamW it is the rate.
        optimizer.learning_rate = share * float(optimizer.learning_rate)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    history = model.fit(*data, BATCH, epochs, verbose=0, callbacks=callbacks)
    return history.history["loss"]


def main(argv=None):
    arguments = side_by_side.arguments(
        __doc__, argv, seeds=2, images=(100, 32), epochs=(20, 3)
    )
    first, first_validation = some_digits(0)
    first = [part[: 8 * arguments.images] for part in first]
    (x, y), validation = some_digits(5)
    few = x[: arguments.images], y[: arguments.images]

    def train(make, seed):
        phases = [make() for _ in range(3)]  # an optimizer for each
        keras.utils.set_random_seed(seed)
        body = convolutions()
        old = keras.Sequential([body, layers.Dense(5)])
        losses = fitted(old, phases[0], first, max(arguments.epochs // 4, 1))
        figures = {"0 to 4": accuracy(old, first_validation)}

        body.trainable = False
        frozen = body.get_weights()
        model = keras.Sequential([body, layers.Dense(5)])
        losses = fitted(model, phases[1], few, arguments.epochs)
        for before, after in zip(frozen, body.get_weights()):
            np.testing.assert_array_equal(before, after)
        figures["new head"] = accuracy(model, validation)

        body.trainable = True  # then Keras asks for another `compile`
        losses += fitted(model, phases[2], few, arguments.epochs, SHARE)
        figures["all of it"] = accuracy(model, validation)
        return losses, figures

    optimizers = side_by_side.fitted(arguments.short)
    return side_by_side.compare(train, optimizers, arguments.seeds)


def accuracy(model, data):
    return model.evaluate(*data, verbose=0)[1]


if __name__ == "__main__":
    main()
