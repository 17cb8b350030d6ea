"""What the check for gradients that are not finite costs, of a whole step.

A training step of a small convolutional network with the check and without
it, alternating in one process. Ends with a line `name = number` for each
optimizer: the median over the rounds of the ratio of both.

Last printouts, Keras 3.15.1, with 41 rounds on the GPU. The spread is that of
one round: the median is known to about a fifth of it, and less where a step is
so short that the interpreter's time is most of it.

JAX 0.11, two cores of a machine at rest:

    min_max_compact_3_ratio = 1.014
    min_max_compact_3_ratio_spread = 0.060
    min_max_7_ratio = 1.002
    min_max_7_ratio_spread = 0.049

JAX 0.11, one NVIDIA H200:

    min_max_compact_3_ratio = 1.005
    min_max_compact_3_ratio_spread = 0.092
    min_max_7_ratio = 1.017
    min_max_7_ratio_spread = 0.057

torch 2.11, which waits for the check's answer, one NVIDIA H200:

    min_max_compact_3_ratio = 1.034
    min_max_compact_3_ratio_spread = 0.073
    min_max_7_ratio = 1.035
    min_max_7_ratio_spread = 0.116
"""

import statistics
import time

import keras
import numpy as np

import keras_l2o

NAMES = ("min-max-compact/3", "min-max/7")
ROUNDS, STEPS = 15, 20


def make_model():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def seconds(model, x, y):
    start = time.perf_counter()
    for _ in range(STEPS):
        model.train_on_batch(x, y)
    return (time.perf_counter() - start) / STEPS


def main():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 28, 28, 1)).astype("float32")
    y = rng.integers(10, size=128)
    for name in NAMES:
        models = []
        for check in (True, False):
            model = make_model()
            model.compile(
                keras_l2o.from_hub(name, skip_nonfinite=check),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
            seconds(model, x, y)
            models.append(model)
        ratios = []
        for round_ in range(ROUNDS):
            order = models if round_ % 2 else models[::-1]
            times = {id(model): seconds(model, x, y) for model in order}
            with_check, without = (times[id(model)] for model in models)
            ratios.append(with_check / without)
        label = name.replace("/", "_").replace("-", "_")
        spread = statistics.stdev(ratios)
        print(f"{label}_ratio = {statistics.median(ratios):.3f}")
        print(f"{label}_ratio_spread = {spread:.3f}")


if __name__ == "__main__":
    main()
