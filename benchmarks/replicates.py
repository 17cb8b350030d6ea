"""Eight students distilled at once on JAX, beside one.

    python benchmarks/replicates.py [--rounds 7] [--replicates 8] [--tasks 2]

The problem is an MLP on digits, batch 64; Adam and RMSprop teach RNNProp
(20, 20), unroll 100. Both make compiled outer steps, in turn, in one process;
`ratio` is that of the medians.

Last printouts, on two cores of an AMD EPYC at rest, JAX 0.10, `--rounds 5`:

    --tasks 1            --tasks 2
    device = cpu         device = cpu
    one_seconds = 0.159  one_seconds = 0.290
    all_seconds = 0.939  all_seconds = 2.179
    ratio = 5.90         ratio = 7.51

A ratio of 4 was hoped for. On this machine one student already makes its
matrix products at 100 thousand million operations a second, on both cores, and
the largest products there are run at 205: what eight at once can save is less
than half of the products, and nothing of the activations. Before
rematerialization and before tasks became products of many and many, one took
0.79 seconds and eight took 3.62 (two tasks): a better ratio, and slower. On a
convolutional problem (digits_train, FeatureMLP, unroll 50, one task) eight
take 0.95 seconds and one 0.16. No GPU was at hand: there the same command
measures it.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "jax"

import jax

import keras_l2o
from keras_l2o import keras_internals


def outer_step(tasks, **options):
    """A function that makes one compiled outer step."""
    trainer = keras_l2o.MetaTrainer(
        problems="digits_mlp", tasks=tasks, **options
    )
    trainer.compile()
    trainer.make_train_function()
    if "replicates" in options:
        batch = next(trainer.episodes.stream())
    else:
        batch = (trainer.episodes.at(0),)
    batch = jax.tree.map(jax.numpy.asarray, batch)
    held = [keras_internals.jax_state(trainer)]

    def step():
        _, held[0] = trainer.train_function(held[0], iter([batch]))
        jax.block_until_ready(held[0])

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--replicates", type=int, default=8)
    parser.add_argument("--tasks", type=int, default=2)
    arguments = parser.parse_args()
    steps = {
        "one": outer_step(arguments.tasks),
        "all": outer_step(arguments.tasks, replicates=arguments.replicates),
    }
    times = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(arguments.rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(row) for name, row in times.items()}
    print(f"device = {jax.devices()[0].device_kind}")
    print(f"one_seconds = {medians['one']:.3f}")
    print(f"all_seconds = {medians['all']:.3f}")
    print(f"ratio = {medians['all'] / medians['one']:.2f}")


if __name__ == "__main__":
    main()
