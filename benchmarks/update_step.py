"""A learned optimizer's step beside Keras's Adam and beside its own floor.

    python benchmarks/update_step.py [--sizes 18000 1000000] [--rounds 9]

`KERAS_BACKEND` chooses TensorFlow (the default) or JAX; the device is the one
that the backend takes. Models are lists of variables with random gradients.
All optimizers of a size take a step in turn, compiled, in one process; figures
are medians.

The floor is what cannot be left out, at the rates that this run measures: the
greater of the time to read and write parameters, gradients and state once, at
the rate of a copy, and the time of the policy's matrix products and
activations, at the rates of one product of that shape and one `tanh` over
arrays of a chunk's size.

On TensorFlow, a whole training step comes last: conv_train on Fashion-MNIST's
shapes (random images), batch 128, with Adam, Muon, `min-max/1`, `FeatureMLP`
and `general`.

Last printouts, on two cores of an AMD EPYC at rest, TensorFlow 2.21, JAX 0.10,
Keras 3.15.1, no GPU, `--sizes 18000 1000000 --rounds 5`:

    backend = tensorflow
    copy_gigabytes_a_second = 29.06
    tanh_giga_a_second = 1.985
    adam     18,000:      0.85 ms     1.00 x adam
    rnnprop     18,000:      5.08 ms     5.95 x adam   1.25 x floor
    feature_mlp     18,000:      1.31 ms     1.53 x adam   1.22 x floor
    choice_large     18,000:      7.66 ms     8.98 x adam   1.81 x floor
    adam  1,000,000:      2.70 ms     1.00 x adam
    rnnprop  1,000,000:    249.54 ms    92.30 x adam   1.11 x floor
    feature_mlp  1,000,000:     12.36 ms     4.57 x adam   0.21 x floor
    choice_large  1,000,000:    331.27 ms   122.53 x adam   1.41 x floor
    training step, adam: 9.42 ms
    training step, min-max/1: 13.05 ms
    training step, feature_mlp: 10.00 ms
    training_step_min_max_1_over_adam = 1.385
    training_step_feature_mlp_over_adam = 1.061

    backend = jax
    copy_gigabytes_a_second = 6.27
    tanh_giga_a_second = 2.754
    adam     18,000:      0.26 ms     1.00 x adam
    rnnprop     18,000:      4.34 ms    16.84 x adam   1.73 x floor
    feature_mlp     18,000:      0.61 ms     2.37 x adam   3.10 x floor
    choice_large     18,000:      6.26 ms    24.28 x adam   2.33 x floor
    adam  1,000,000:      1.38 ms     1.00 x adam
    rnnprop  1,000,000:    297.40 ms   216.28 x adam   2.13 x floor
    feature_mlp  1,000,000:     17.90 ms    13.02 x adam   1.64 x floor
    choice_large  1,000,000:    690.28 ms   501.98 x adam   4.63 x floor

A floor below which a step falls is one whose rates were measured too low. With
25 million parameters, beside other work, TensorFlow's RNNProp took 1.04 times
as long a parameter as with a million, and FeatureMLP 1.03 times. JAX, at rest,
another run, `--sizes 1000000 25000000 --rounds 3`:

    copy_gigabytes_a_second = 6.29
    tanh_giga_a_second = 1.390
    rnnprop  1,000,000:    276.46 ms   235.42 x adam   1.31 x floor
    feature_mlp  1,000,000:     15.09 ms    12.85 x adam   1.20 x floor
    choice_large  1,000,000:    847.46 ms   721.66 x adam   3.72 x floor
    rnnprop 25,000,000:   6858.84 ms   316.25 x adam   1.30 x floor
    feature_mlp 25,000,000:    445.59 ms    20.55 x adam   1.42 x floor
    rnnprop_growth_over_linear = 0.992
    feature_mlp_growth_over_linear = 1.181
"""

import argparse
import functools
import itertools
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np

import keras_l2o
from keras_l2o import policies

#: Columns of the products and activations whose rates make the floor.
CHUNK = 2**14
SIZES = (18_000, 1_000_000, 25_000_000)
#: A pool keeps temporaries of the whole model: beyond this, it does not fit.
LARGEST_POOL = 2_000_000


def optimizers(size):
    """Name: optimizer, all that take part at a size."""
    made = {
        "adam": keras.optimizers.Adam(),
        "rnnprop": keras_l2o.LearnedOptimizer(policies.RNNProp()),
        "feature_mlp": keras_l2o.LearnedOptimizer(policies.FeatureMLP()),
    }
    if size <= LARGEST_POOL:
        made["choice_large"] = keras_l2o.LearnedOptimizer(
            policies.get("more_choice")
        )
    return made


def shapes(size):
    """Shapes of a model's variables: matrices of up to a million, a vector."""
    shapes, left = [], size
    while left >= 2048:
        rows = min(1024, left // 1024)
        shapes.append((rows, 1024))
        left -= rows * 1024
    return shapes + ([(left,)] if left else [])


class Step:
    """One optimizer's update of one model, compiled."""

    def __init__(self, optimizer, size):
        rng = np.random.default_rng(0)
        self.optimizer = optimizer
        self.variables = [
            keras.Variable(rng.normal(size=shape).astype("float32"))
            for shape in shapes(size)
        ]
        self.gradients = [
            keras.ops.convert_to_tensor(
                rng.normal(size=shape).astype("float32") * 0.1
            )
            for shape in shapes(size)
        ]
        optimizer.build(self.variables)
        if keras.backend.backend() == "tensorflow":
            self._compile_tensorflow()
        else:
            self._compile_jax()

    def _compile_tensorflow(self):
        import tensorflow as tf

        @tf.function(autograph=False)
        def step(gradients):
            self.optimizer.apply(gradients, self.variables)
            return self.variables[0].value[..., 0]

        self.run = lambda: step(self.gradients).numpy()

    def _compile_jax(self):
        import jax

        def step(variables, state, gradients):
            return self.optimizer.stateless_apply(state, gradients, variables)

        step = jax.jit(step, donate_argnums=(0, 1))
        held = [
            [v.value for v in self.variables],
            [v.value for v in self.optimizer.variables],
        ]

        def run():
            held[:] = step(*held, self.gradients)
            jax.block_until_ready(held)

        self.run = run


def alternate(steps, rounds):
    """Name: median seconds, of functions that take turns."""
    times = {name: [] for name in steps}
    for step in steps.values():
        step()
        step()
    for _ in range(rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(row) for name, row in times.items()}


class Rates:
    """What this machine does a second, measured in this run."""

    def __init__(self, rounds):
        self.rounds = rounds
        self._products = {}
        big = np.ones(2**26, "float32")
        self.bytes = 2 * big.nbytes / self._time(lambda x: x + 1.0, big)
        wide = np.full((80, CHUNK), 0.1, "float32")
        self.tanh = wide.size / self._time(keras.ops.tanh, wide)

    def multiplications(self, rows, columns):
        """Of the product of a `(rows, columns)` matrix and a chunk."""
        if (rows, columns) not in self._products:
            seconds = self._time(
                keras.ops.matmul,
                np.ones((rows, columns), "float32"),
                np.ones((columns, CHUNK), "float32"),
            )
            count = rows * columns * CHUNK
            self._products[rows, columns] = count / seconds
        return self._products[rows, columns]

    def _time(self, function, *arrays):
        arrays = [keras.ops.convert_to_tensor(array) for array in arrays]
        repeats = 10
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            forms = {
                "plain": tf.function(function),
                "fused": tf.function(function, jit_compile=True),
            }

            def wait(result):
                result[..., :1].numpy()

        else:
            import jax

            forms = {"fused": jax.jit(function)}
            wait = jax.block_until_ready

        def repeat(form):
            for _ in range(repeats):
                result = form(*arrays)
            wait(result)

        runs = {k: functools.partial(repeat, f) for k, f in forms.items()}
        return min(alternate(runs, self.rounds).values()) / repeats


def floor(optimizer, rates):
    """Least seconds for a coordinate: memory's and arithmetic's."""
    policy = optimizer.policy
    # Parameter read and written, gradient read, state read and written.
    floats = 3 + 2 * state_floats(policy)
    products, activations = [], 0
    if isinstance(policy, policies.FeatureMLP):
        widths = [4, *policy.units, 2]
        products = [(b, a) for a, b in itertools.pairwise(widths)]
        activations = 4 + 1  # squashed features, an exponential
    else:
        inputs = 2
        if hasattr(policy, "pool"):
            inputs = len(policy.pool) + 5
        for width in policy.stack.units:
            products.append((4 * width, inputs + width))
            activations += 5 * width  # three gates, candidate, memory
            inputs = width
        heads = len(policy.pool) if hasattr(policy, "pool") else 1
        products.append((heads, inputs))
        activations += heads
    arithmetic = activations / rates.tanh + sum(
        a * b / rates.multiplications(a, b) for a, b in products
    )
    return max(4 * floats / rates.bytes, arithmetic)


def state_floats(policy):
    """Floats of state that a policy keeps for a coordinate."""
    state = policy.initial_state([keras.ops.zeros((1000,))])
    leaves = keras.tree.flatten(state.tensors)
    return sum(int(np.prod(leaf.shape)) for leaf in leaves) / 1000


def training_steps():
    """Name: a whole training step of conv_train with each optimizer."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    images = rng.uniform(size=(128, 28, 28, 1)).astype("float32")
    labels = rng.integers(0, 10, 128).astype("int32")
    made = {
        "adam": keras.optimizers.Adam(),
        "min-max/1": keras_l2o.from_hub("min-max/1"),
        "feature_mlp": keras_l2o.LearnedOptimizer(policies.FeatureMLP()),
        "general": keras_l2o.from_hub("general"),
        "muon": keras.optimizers.Muon(),
    }
    steps = {}
    for name, optimizer in made.items():
        model = keras_l2o.problems.networks.conv((28, 28, 1), 10)
        model.compile(
            optimizer=optimizer,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        data = tf.data.Dataset.from_tensors((images, labels)).repeat()
        model.make_train_function()
        iterator = iter(data)

        def step(model=model, iterator=iterator):
            float(model.train_function(iterator)["loss"])

        steps[name] = step
    return steps


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    backend = keras.backend.backend()
    rates = Rates(arguments.rounds)
    print(f"backend = {backend}")
    print(f"copy_gigabytes_a_second = {rates.bytes / 1e9:.2f}")
    print(f"tanh_giga_a_second = {rates.tanh / 1e9:.3f}")
    ratios, a_million = {}, {}
    for size in arguments.sizes:
        made = optimizers(size)
        # The large ones do not fit beside each other.
        groups = [made] if size < 5e6 else [{k: v} for k, v in made.items()]
        medians = {}
        for group in groups:
            steps = {
                name: Step(optimizer, size).run
                for name, optimizer in group.items()
            }
            medians |= alternate(steps, arguments.rounds)
            del steps
        for name, seconds in medians.items():
            line = f"{name} {size:>10,d}: {1e3 * seconds:9.2f} ms"
            line += f"  {seconds / medians['adam']:7.2f} x adam"
            if name != "adam":
                least = size * floor(made[name], rates)
                ratios[f"{name}_{size}_over_floor"] = seconds / least
                line += f"  {seconds / least:5.2f} x floor"
            print(line, flush=True)
            a_million[name, size] = 1e6 * seconds / size
        del made, group
    if backend == "tensorflow":
        medians = alternate(training_steps(), 20 * arguments.rounds)
        for name, seconds in medians.items():
            print(f"training step, {name}: {1e3 * seconds:.2f} ms")
            if name != "adam":
                key = name.replace("-", "_").replace("/", "_")
                ratios[f"training_step_{key}_over_adam"] = (
                    seconds / medians["adam"]
                )
    if {1_000_000, 25_000_000} <= set(arguments.sizes):
        for name in ("rnnprop", "feature_mlp"):
            ratios[f"{name}_growth_over_linear"] = (
                a_million[name, 25_000_000] / a_million[name, 1_000_000]
            )
    for name, ratio in ratios.items():
        print(f"{name} = {ratio:.3f}")


if __name__ == "__main__":
    main()
