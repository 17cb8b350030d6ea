"""Whole training steps through `fit`, beside those with Keras's Adam.

    python benchmarks/training_step.py [--models cnn ...] [--rules general ...]

`KERAS_BACKEND` chooses TensorFlow (the default), JAX or torch. For each model
all optimizers take an epoch in turn, in one process; a figure is the median
over rounds of an epoch's time over Adam's in the same round.

Models: a small convolutional network on 28 by 28 images; a character
transformer of width 128 and four layers, 64 characters; a dense network with a
million parameters; an LSTM of 128 units; an embedding of 20,000 rows of 16
(`embedding`), and one ten times as long (`long_embedding`), of which a step
looks up 32 times 20. The batch is 128, that of the transformer 32.

Last printouts, on two cores of an Intel Xeon with AVX-512 at rest, TensorFlow
2.21, JAX 0.10, Keras 3.15.1, `--rounds 7`; milliseconds of Adam's step, and the
others' over it:

    backend = tensorflow     Adam  feature_mlp  general
    cnn                     10.86         0.99     1.25
    mlp                     10.90         2.99    11.33
    lstm                    35.26         1.06     1.27
    transformer            127.82         1.09     1.33
    embedding                5.31         1.04     1.69
    long_embedding          14.27         0.44     0.80

    backend = jax            Adam  feature_mlp  general
    cnn                     35.94         1.00     1.00
    mlp                      4.38         4.33    33.20
    lstm                    29.53         0.94     1.16
    transformer            160.84         1.07     1.20
    embedding                1.18         1.44     2.53
    long_embedding           6.77         0.66     0.81

    backend = torch          Adam  feature_mlp  general  compiled: the same two
    cnn                     21.70         1.05     1.51            0.94    1.11
    mlp                      7.01         8.40    25.31            6.01   13.39
    lstm                    59.44         1.09     1.32            0.97    1.00
    embedding                3.67         2.01     4.67            1.70    3.04

The torch rows are of `--rounds 5`, the last two columns with
`torch_compile=True`. Hoped for were 1.06, 1.8, 1.10, 1.15 and, for embeddings,
1.2. Embeddings were at 3.0 (TensorFlow) and 6.1 (JAX) before rows without a
gradient waited. What is left there is, on JAX, to find the rows in a gradient
that is dense (0.3 ms of the 1.2 ms, and as much to number them), and with
`general` the other matrices.

`general` sets the singular values of matrices near one, with 15 products of
matrices a step. Those of the two large kernels of `mlp` take 2 times 44 ms at
250 thousand million operations a second, which is all that the two cores have,
also in half the precision (tried: 160 to 260); Adam's whole step at batch 128
has a 25th of these operations. On a small batch and a processor, it is the
wrong rule for such a model, as is Muon; on an accelerator it is not.
"""

import argparse
import functools
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
from keras import layers
from keras import ops

import keras_l2o

STEPS = {"transformer": 4, "lstm": 8}
DEFAULT_STEPS = 24
BATCHES = {"transformer": 32, "embedding": 32, "long_embedding": 32}
DEFAULT_BATCH = 128


def cnn():
    inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(16, 3, activation="relu")(inputs)
    x = layers.MaxPooling2D(2, 2)(x)
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.MaxPooling2D(2, 2)(x)
    return keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))


def mlp():
    inputs = keras.Input((784,))
    x = layers.Dense(704, "relu")(inputs)
    x = layers.Dense(640, "relu")(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def lstm():
    inputs = keras.Input((32,), dtype="int32")
    x = layers.LSTM(128)(layers.Embedding(96, 32)(inputs))
    return keras.Model(inputs, layers.Dense(96)(x))


def transformer():
    inputs = keras.Input((64,), dtype="int32")
    x = layers.Embedding(96, 128)(inputs)
    for _ in range(4):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(4, 32)(y, y, use_causal_mask=True)
        y = layers.Dense(512, "gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(128)(y)
    return keras.Model(inputs, layers.Dense(96)(x))


def _bag(rows):
    inputs = keras.Input((20,), dtype="int32")
    x = layers.Flatten()(layers.Embedding(rows, 16)(inputs))
    return keras.Model(inputs, layers.Dense(10)(layers.Dense(64, "relu")(x)))


def embedding():
    return _bag(20_000)


def long_embedding():
    return _bag(200_000)


MODELS = {
    make.__name__: make
    for make in (cnn, mlp, lstm, transformer, embedding, long_embedding)
}
RULES = {
    "feature_mlp": lambda **options: keras_l2o.LearnedOptimizer(
        keras_l2o.policies.FeatureMLP(), **options
    ),
    "general": lambda **options: keras_l2o.from_hub("general", **options),
}
if keras.backend.backend() == "torch":
    RULES |= {
        f"{rule}_compiled": functools.partial(make, torch_compile=True)
        for rule, make in RULES.items()
    }


def data(model, examples):
    """Random inputs and targets of a model, in NumPy."""
    rng = np.random.default_rng(0)
    (inputs,) = model.inputs
    shape = (examples, *inputs.shape[1:])
    if inputs.dtype == "float32":
        x = rng.normal(size=shape).astype("float32")
    else:
        # Words are as often looked up as in texts: the usual ones mostly.
        table = next(w for w in model.weights if w.path.endswith("embeddings"))
        rows = table.shape[0]
        x = np.minimum(rows ** rng.random(shape), rows - 1).astype("int32")
    shape = (examples, *model.outputs[0].shape[1:-1])
    y = rng.integers(0, model.outputs[0].shape[-1], shape).astype("int32")
    return x, y


class Training:
    """A model with an optimizer, which trains an epoch at a time."""

    def __init__(self, name, optimizer):
        keras.utils.set_random_seed(0)
        self.model = MODELS[name]()
        self.batch = BATCHES.get(name, DEFAULT_BATCH)
        self.steps = STEPS.get(name, DEFAULT_STEPS)
        self.data = data(self.model, self.batch * self.steps)
        self.model.compile(
            optimizer, keras.losses.SparseCategoricalCrossentropy(True)
        )

    def epoch(self):
        """Milliseconds of a step of one epoch of `fit`."""
        begin = time.perf_counter()
        self.model.fit(
            *self.data, batch_size=self.batch, shuffle=False, verbose=0
        )
        ops.convert_to_numpy(self.model.trainable_variables[0])
        return 1e3 * (time.perf_counter() - begin) / self.steps


def measure(name, rules, rounds):
    """Medians: milliseconds of Adam's step, and of others over Adam's."""
    made = {"adam": keras.optimizers.Adam} | {r: RULES[r] for r in rules}
    trainings = {rule: Training(name, make()) for rule, make in made.items()}
    for training in trainings.values():
        training.epoch()
        training.epoch()
    times = [
        {rule: training.epoch() for rule, training in trainings.items()}
        for _ in range(rounds)
    ]
    adam = statistics.median(row["adam"] for row in times)
    return adam, {
        rule: statistics.median(row[rule] / row["adam"] for row in times)
        for rule in rules
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=[*MODELS])
    parser.add_argument("--rules", nargs="+", default=[*RULES])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    print(f"backend = {keras.backend.backend()}")
    for name in arguments.models:
        adam, ratios = measure(name, arguments.rules, arguments.rounds)
        print(f"{name}_adam_milliseconds = {adam:.2f}")
        for rule, ratio in ratios.items():
            print(f"{name}_{rule}_over_adam = {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
