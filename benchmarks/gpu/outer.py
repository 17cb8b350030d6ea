"""The outer step of meta-training on JAX: of one student, and of eight.

    python -m benchmarks.gpu.outer {one,replicates} [--replicates 8]

`one`: `conv_train` on Fashion-MNIST's shapes (random images), batch 128,
unroll 20, Adam and RMSprop teach RNNProp (20, 20), as in
`benchmarks/outer_step.py`.

`replicates`: an MLP on digits, batch 64, unroll 100, the same teachers and
student, as in `benchmarks/replicates.py`: one beside all.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"

import time

import jax
import numpy as np

import keras_l2o
from benchmarks.gpu import clock
from benchmarks.gpu import device
from benchmarks.gpu import report
from keras_l2o import keras_internals


class OuterStep:
    """One compiled outer step, over and over, with the same episodes.

    Args:
        **options: Arguments of `keras_l2o.MetaTrainer`.
    """

    def __init__(self, **options):
        trainer = keras_l2o.MetaTrainer(**options)
        trainer.compile()
        trainer.make_train_function()
        if options.get("replicates"):
            batch = next(trainer.episodes.stream())
        else:
            batch = (trainer.episodes.at(0),)
        self.batch = jax.tree.map(jax.numpy.asarray, batch)
        self.function = trainer.train_function
        self.state = keras_internals.jax_state(trainer)

    def run(self):
        """Asks for one step."""
        _, self.state = self.function(self.state, iter([self.batch]))

    def wait(self):
        """Returns when the step is made."""
        device.wait(self.state)


def fashion():
    """The convolutional problem, with random images."""
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(4096, 28, 28, 1)).astype("float32")
    labels = rng.integers(0, 10, 4096).astype("int32")
    network = keras_l2o.problems.networks.conv((28, 28, 1), 10)
    return keras_l2o.problems.Problem(network, (images, labels), batch_size=128)


def main():
    parser = report.parser(__doc__)
    parser.add_argument("what", choices=["one", "replicates"])
    parser.add_argument("--replicates", type=int, default=8)
    parser.add_argument("--tasks", type=int, default=1)
    parser.add_argument("--unroll", type=int)
    arguments = parser.parse_args()
    say = report.Report(arguments, **device.facts())
    options = {"tasks": arguments.tasks}
    if arguments.what == "one":
        options |= {"problems": fashion(), "unroll": arguments.unroll or 20}
        options |= {"depth": 1}
        kinds = {"conv_train": options}
    else:
        options |= {"problems": "digits_mlp", "unroll": arguments.unroll or 100}
        kinds = {
            "one": options,
            "all": options | {"replicates": arguments.replicates},
        }
    steps = {}
    for name, chosen in kinds.items():
        started = time.perf_counter()
        steps[name] = OuterStep(**chosen)
        steps[name].run()
        steps[name].wait()
        seconds = time.perf_counter() - started
        say.note(f"{name}: ready after {seconds:.1f} s")
    medians = clock.alternate(steps, arguments.rounds)
    for name, seconds in medians.items():
        say(f"outer_step_{name}_milliseconds", 1e3 * seconds)
    if "all" in medians:
        ratio = medians["all"] / medians["one"]
        say(f"outer_step_{arguments.replicates}_over_one", ratio)
    peak = device.peak_bytes()
    if peak is not None:
        say("process_peak_gigabytes", peak / 1e9)


if __name__ == "__main__":
    main()
