"""The update alone, of models of several sizes, beside Adam and the floor.

    KERAS_BACKEND=jax python -m benchmarks.gpu.updates --sizes 25M 125M

The floor is the time of a copy of as many bytes: parameters, gradients and
state read, parameters and state written, once. Models are the variables of
language models, with random gradients.
"""

import gc
import math
import sys
import time
import traceback

from benchmarks.gpu import clock
from benchmarks.gpu import device
from benchmarks.gpu import models
from benchmarks.gpu import report
from benchmarks.gpu import rules
from benchmarks.gpu.copy_rate import copy_rate
from benchmarks.gpu.kernels import kernels

if device.BACKEND == "jax":
    from benchmarks.gpu.jax_update import CompiledUpdate
    from benchmarks.gpu.jax_update import EagerUpdate

    FORMS = {"compiled": CompiledUpdate, "eager": EagerUpdate}
else:
    from benchmarks.gpu.torch_update import CompiledUpdate
    from benchmarks.gpu.torch_update import EagerUpdate
    from benchmarks.gpu.torch_update import FusedAdam

    FORMS = {"compiled": CompiledUpdate, "eager": EagerUpdate}


def floor(optimizer, count, rate):
    """Least seconds of a step.

    Args:
        optimizer: A built Keras optimizer.
        count: Int, the parameters.
        rate: Float, bytes that a copy reads and writes in a second.
    """
    state = sum(
        math.prod(variable.shape) * size_of(variable)
        for variable in optimizer.variables
    )
    return (3 * 4 * count + 2 * state) / rate


def size_of(variable):
    """Bytes of one number of a variable."""
    return 2 if variable.dtype == "bfloat16" else 4


class Measured:
    """The rules of one size in one form, each beside the first one.

    Args:
        say: `report.Report`.
        size: String, a key of `models.GPTS`.
        form: `"compiled"` or `"eager"`.
        rate: Float, bytes that a copy reads and writes in a second.
        rounds: Int.
    """

    def __init__(self, say, size, form, rate, rounds):
        self.say, self.size, self.form = say, size, form
        self.rate, self.rounds = rate, rounds
        self.shapes = models.gpt_shapes(models.GPTS[size])
        self.count = sum(map(math.prod, self.shapes))
        self.first = None
        #: Seconds a parameter, by the rule's name.
        self.seconds = {}
        say(f"parameters_{size}", self.count)

    def measure(self, rule):
        """Reports the figures of one rule."""
        started = time.perf_counter()
        device.forget_peak()
        optimizer = None
        if rule == "fused_adam":
            update = FusedAdam(self.shapes)
        else:
            optimizer = rules.RULES[rule]()
            update = FORMS[self.form](optimizer, self.shapes)
        update.run()
        update.wait()
        key = f"{rule}_{self.size}_{self.form}"
        passed = time.perf_counter() - started
        self.say.note(f"{key}: ready after {passed:.1f} s")
        self.first = self.first or (rule, update)
        medians = clock.alternate(
            {self.first[0]: self.first[1], rule: update}, self.rounds
        )
        seconds = medians[rule]
        self.seconds[rule] = seconds / self.count
        self.say(f"{key}_milliseconds", 1e3 * seconds)
        if rule != self.first[0]:
            ratio = seconds / medians[self.first[0]]
            self.say(f"{key}_over_{self.first[0]}", ratio)
        if optimizer is not None:
            least = floor(optimizer, self.count, self.rate)
            self.say(f"{key}_floor_milliseconds", 1e3 * least)
            self.say(f"{key}_over_floor", seconds / least)
        peak = update.peak_bytes()
        if peak is not None:
            self.say(f"{key}_peak_gigabytes", peak / 1e9)
        if hasattr(update, "program"):
            counts = kernels(update.program.as_text())
            self.say(f"{key}_kernels", sum(counts.values()))


def main():
    parser = report.parser(__doc__)
    parser.add_argument("--sizes", nargs="+", default=["25M", "125M", "1M"])
    parser.add_argument(
        "--rules", nargs="+", default=["adam", "general", "feature_mlp"]
    )
    parser.add_argument("--forms", nargs="+", default=["compiled"])
    parser.add_argument("--copied", type=int, default=2**28)
    arguments = parser.parse_args()
    say = report.Report(arguments, **device.facts())
    rate = copy_rate(arguments.copied)
    say("copy_gigabytes_a_second", rate / 1e9)
    failed = []
    for form in arguments.forms:
        per_parameter = {}
        for size in arguments.sizes:
            measured = Measured(say, size, form, rate, arguments.rounds)
            for rule in arguments.rules:
                try:
                    measured.measure(rule)
                except Exception:
                    # What comes after it is measured all the same.
                    traceback.print_exc()
                    failed.append(f"{rule}_{size}_{form}")
                gc.collect()
            per_parameter[size] = measured.seconds
        if len(per_parameter) > 1:
            report_growth(say, per_parameter, form)
    peak = device.peak_bytes()
    if peak is not None:
        say("process_peak_gigabytes", peak / 1e9)
    if failed:
        sys.exit(f"failed: {' '.join(failed)}")


def report_growth(say, per_parameter, form):
    """Time a parameter at the other sizes over that at the smallest."""
    order = [size for size in models.GPTS if size in per_parameter]
    small = per_parameter[order[0]]
    for size in order[1:]:
        for name, seconds in per_parameter[size].items():
            if name in small:
                key = f"{name}_{form}_a_parameter_{size}_over_{order[0]}"
                say(key, seconds / small[name])


if __name__ == "__main__":
    main()
