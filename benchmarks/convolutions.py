"""Convolutions beside products of patches, in an optimizee's derivatives.

    python benchmarks/convolutions.py [--rounds 7]

The networks are digits_train and conv_train on Fashion-MNIST's shapes, on
random images, batch 128. Timed are the gradient of the loss, which a teacher
needs, and the gradient's own derivative along a direction, which an unrolled
student needs; each for one set of weights and for eight sets at once, under
`vmap`, where a convolution with its own kernels becomes a grouped one. Both
forms alternate in one process; figures are medians of
milliseconds: convolutions, products, and the ratio of these.

`keras_l2o.backend.unrolled` takes products on a processor and convolutions
elsewhere: no accelerator was at hand to measure on.

Last printout, on two cores of an AMD EPYC at rest, JAX 0.10, `--rounds 9`:

    device = cpu
    digits_train gradient x 1:    1.55    0.66  ratio = 0.43
    digits_train gradient x 8:    7.55    2.99  ratio = 0.40
    digits_train second   x 1:    1.84    1.04  ratio = 0.56
    digits_train second   x 8:    8.93    4.42  ratio = 0.49
    conv_train   gradient x 1:   41.27   31.83  ratio = 0.77
    conv_train   gradient x 8:  570.61  242.25  ratio = 0.42
    conv_train   second   x 1:  183.00   47.70  ratio = 0.26
    conv_train   second   x 8:  801.18  462.61  ratio = 0.58

A whole outer step on digits_train (FeatureMLP, two teachers, unroll 50) fell
with them from 0.62 to 0.16 seconds, and that of eight replicates at once from
6.6 to 0.95.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "jax"

import jax
import numpy as np

from keras_l2o.backend.products import with_products
from keras_l2o.problems import Problem
from keras_l2o.problems import catalogue

SHAPES = {"digits_train": (8, 8, 1), "conv_train": (28, 28, 1)}


def make_problem(name):
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(128, *SHAPES[name])).astype("float32")
    labels = rng.integers(0, 10, 128).astype("int32")
    network = catalogue.CATALOGUE[name].network(SHAPES[name], 10)
    return Problem(network, (images, labels), batch_size=128, name=name)


def derivatives(problem, form):
    """Functions of flat weights: the gradient, and its derivative."""
    x, y = problem.batches(np.random.default_rng(0), 1)

    def loss(weights):
        return problem.loss_value(problem.unravel(weights), [], (x[0], y[0]))[0]

    gradient = jax.grad(form(loss))

    def curvature(weights):
        return jax.vjp(gradient, weights)[1](weights)[0]

    return {"gradient": gradient, "second": curvature}


def seconds(function, weights):
    started = time.perf_counter()
    jax.block_until_ready(function(weights))
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    print(f"device = {jax.devices()[0].device_kind}")
    forms = {"convolutions": lambda loss: loss, "products": with_products}
    for name in SHAPES:
        problem = make_problem(name)
        both = {
            form: derivatives(problem, make) for form, make in forms.items()
        }
        for kind in ("gradient", "second"):
            for count in (1, 8):
                rng = np.random.default_rng(1)
                weights = 0.1 * rng.normal(size=(count, problem.size))
                weights = weights.astype("float32")
                steps = {
                    form: jax.jit(jax.vmap(functions[kind]))
                    if count > 1
                    else jax.jit(lambda w, f=functions[kind]: f(w[0]))
                    for form, functions in both.items()
                }
                for step in steps.values():
                    seconds(step, weights)
                times = {form: [] for form in steps}
                for _ in range(rounds):
                    for form, step in steps.items():
                        times[form].append(seconds(step, weights))
                medians = {
                    form: statistics.median(row) * 1e3
                    for form, row in times.items()
                }
                ratio = medians["products"] / medians["convolutions"]
                print(
                    f"{name:<12} {kind:<8} x {count}:"
                    f" {medians['convolutions']:7.2f}"
                    f" {medians['products']:7.2f}  ratio = {ratio:.2f}"
                )


if __name__ == "__main__":
    main()
