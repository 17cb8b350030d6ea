"""What an outer step costs with each estimator.

    KERAS_BACKEND=jax python benchmarks/estimators.py [--rounds 5]

RNNProp distils Adam and RMSprop on digits_mlp, two tasks, unroll 20, episodes
of up to four truncations; PES and NRES have four pairs of particles. Seconds
are medians over rounds in which the estimators alternate. `FullUnroll`'s outer
step is a whole episode of 80 inner steps, the others' is 20.

Last printout, on two cores of an AMD EPYC, JAX 0.10.2, Keras 3.15.1, no GPU:

    truncated_backprop_first_seconds = 9.1
    full_unroll_first_seconds = 10.3
    pes_first_seconds = 9.9
    nres_first_seconds = 8.8
    backend = jax
    truncated_backprop_seconds = 0.091
    truncated_backprop_over_truncated_backprop = 1.00
    full_unroll_seconds = 0.468
    full_unroll_over_truncated_backprop = 5.13
    pes_seconds = 0.202
    pes_over_truncated_backprop = 2.21
    nres_seconds = 0.187
    nres_over_truncated_backprop = 2.05
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import keras_l2o
from keras_l2o.training import estimators

OPTIONS = {
    "truncated_backprop": {},
    "full_unroll": {},
    "pes": {"pairs": 4, "seed": 0},
    "nres": {"pairs": 4, "seed": 0},
}


def outer_step(name):
    """A function that makes one compiled outer step."""
    keras.utils.set_random_seed(0)
    trainer = keras_l2o.MetaTrainer(
        problems="digits_mlp",
        tasks=2,
        unroll=20,
        depth=(1, 4),
        estimator=estimators.get(name, **OPTIONS[name]),
    )
    trainer.compile()

    def step():
        trainer.fit(
            epochs=1, steps_per_epoch=1, verbose=0, validation_data=False
        )

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    steps = {name: outer_step(name) for name in OPTIONS}
    times = {name: [] for name in steps}
    for name, step in steps.items():
        started = time.perf_counter()
        step()
        print(f"{name}_first_seconds = {time.perf_counter() - started:.1f}")
    for _ in range(arguments.rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(row) for name, row in times.items()}
    print(f"backend = {keras.backend.backend()}")
    for name, seconds in medians.items():
        print(f"{name}_seconds = {seconds:.3f}")
        ratio = seconds / medians["truncated_backprop"]
        print(f"{name}_over_truncated_backprop = {ratio:.2f}")


if __name__ == "__main__":
    main()
