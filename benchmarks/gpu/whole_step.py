"""Whole training steps of a transformer, and each rule's ratio to Adam's.

    KERAS_BACKEND=jax python -m benchmarks.gpu.whole_step gpt --size 125M

A step is Keras's own: on JAX `model.train_step`, compiled with the state
donated, as `fit` does; on torch the function that `fit` calls. The batch is
on the device.
"""

import functools
import time

import keras

from benchmarks.gpu import clock
from benchmarks.gpu import device
from benchmarks.gpu import models
from benchmarks.gpu import report
from benchmarks.gpu import rules


class Training:
    """One model with one optimizer.

    Args:
        kind: `"gpt"` or `"vit"`.
        sizes: `models.Transformer`.
        rule: String, a key of `rules.RULES`.
        compiled: Bool. Of torch alone: Keras's `jit_compile`.
    """

    def __init__(self, kind, sizes, rule, compiled):
        keras.utils.set_random_seed(0)
        self.model = getattr(models, kind)(sizes)
        self.model.compile(
            optimizer=rules.RULES[rule](),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=compiled or device.BACKEND == "jax",
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self.batch = models.batch(kind, sizes)
        device.forget_peak()
        if device.BACKEND == "jax":
            self._prepare_jax()
        else:
            self.model.make_train_function()
            step = functools.partial(self.model.train_function, [self.batch])
            self.run = lambda: setattr(self, "result", step())

    def _prepare_jax(self):
        import jax

        from benchmarks.gpu.jax_update import program_bytes
        from keras_l2o import keras_internals

        self.state = keras_internals.jax_state(self.model)
        self.program = (
            jax.jit(self.model.train_step, donate_argnums=0)
            .lower(self.state, self.batch)
            .compile()
        )
        self.peak = program_bytes(self.program)

        def run():
            self.result, self.state = self.program(self.state, self.batch)

        self.run = run

    def wait(self):
        """Returns when the step is made."""
        device.wait(self.result)

    def peak_bytes(self):
        """Most memory of a step; on torch, with the models made before."""
        return self.peak if device.BACKEND == "jax" else device.peak_bytes()


def main():
    parser = report.parser(__doc__)
    parser.add_argument("kind", choices=["gpt", "vit"])
    parser.add_argument("--size", required=True)
    parser.add_argument(
        "--rules", nargs="+", default=["adam", "general", "feature_mlp"]
    )
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--compiled", action="store_true")
    arguments = parser.parse_args()
    say = report.Report(
        arguments, **device.facts(), precision=arguments.precision
    )
    keras.config.set_dtype_policy(arguments.precision)
    known = {"gpt": models.GPTS, "vit": models.VITS}[arguments.kind]
    sizes = known[arguments.size]
    trainings = {}
    for rule in arguments.rules:
        started = time.perf_counter()
        made = Training(arguments.kind, sizes, rule, arguments.compiled)
        made.run()
        made.wait()
        key = f"{arguments.kind}_{rule}"
        if not trainings:
            say("parameters", made.model.count_params())
        seconds = time.perf_counter() - started
        say.note(f"{key}: ready after {seconds:.1f} s")
        peak = made.peak_bytes()
        if peak is not None:
            say(f"{key}_peak_gigabytes", peak / 1e9)
        trainings[rule] = made
        if rule == arguments.rules[0]:
            continue
        # Each with the first one at once: the next may not end in time.
        pair = {name: trainings[name] for name in (arguments.rules[0], rule)}
        medians = clock.alternate(pair, arguments.rounds)
        for name, seconds in medians.items():
            say(f"{arguments.kind}_{name}_milliseconds", 1e3 * seconds)
        first, second = medians.values()
        say(f"{key}_over_{arguments.rules[0]}", second / first)
        del trainings[rule], made, pair


if __name__ == "__main__":
    main()
