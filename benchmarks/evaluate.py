"""Evaluations side by side on JAX, beside one after the other.

    python benchmarks/evaluate.py [--runs 8] [--steps 110]

Milliseconds that a step of a run takes, without compilation: of `train`, which
a run takes alone, and of `train_at_once`, which is what `evaluate` and
`evaluate_replicates` do on JAX. Both give the same losses to rounding.

Last printout, on two cores of an AMD EPYC, JAX 0.10:

    digits_mlp adam: alone 1.02, side by side 0.067, ratio = 0.066
    digits_mlp feature_mlp: alone 1.05, side by side 0.116, ratio = 0.111
    digits_mlp min_max_1: alone 1.72, side by side 0.276, ratio = 0.160
    digits_train adam: alone 2.44, side by side 0.339, ratio = 0.139
    digits_train feature_mlp: alone 2.56, side by side 0.435, ratio = 0.170
    digits_train min_max_1: alone 3.94, side by side 1.313, ratio = 0.333
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

import keras_l2o
from keras_l2o import problems
from keras_l2o.evaluation import train
from keras_l2o.evaluation.at_once import train_at_once

OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "feature_mlp": lambda: keras_l2o.LearnedOptimizer(
        keras_l2o.policies.FeatureMLP()
    ),
    "min_max_1": lambda: keras_l2o.from_hub("min-max/1"),
}


def milliseconds(run, epoch_steps):
    """Of a step, in the epochs after the first, which compiles."""
    return 1e3 * float(np.median(run.seconds[1:])) / epoch_steps


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=110)
    arguments = parser.parse_args()
    for name in ("digits_mlp", "digits_train"):
        problem = problems.get(name)
        epoch = problem.epoch_steps
        seeds = list(range(arguments.runs))
        for label, make in OPTIMIZERS.items():
            alone = train(problem, make(), arguments.steps, epoch, seeds[0])
            many = train_at_once(
                problem,
                [make() for _ in seeds],
                seeds,
                arguments.steps,
                epoch,
            )
            np.testing.assert_allclose(
                many[0].losses[:5], alone.losses[:5], rtol=1e-3
            )
            one, all_ = (milliseconds(run, epoch) for run in (alone, many[0]))
            print(
                f"{name} {label}: alone {one:.2f}, side by side {all_:.3f}, "
                f"ratio = {all_ / one:.3f}"
            )


if __name__ == "__main__":
    main()
