"""The update alone, of models of several sizes, beside Adam and the floor.

    KERAS_BACKEND=jax python -m benchmarks.gpu.updates --sizes 25M 125M

The floor is the time of a copy of as many bytes: parameters, gradients and
state read, parameters and state written, once. Models are the variables of
language models, with random gradients. `--chunk-floats` and `--group` try
other sizes of what is computed at once: of a chunk of the flat state, and of a
run of small tensors of `General`'s.
"""

import gc
import math
import time

from benchmarks.gpu import clock
from benchmarks.gpu import device
from benchmarks.gpu import models
from benchmarks.gpu import report
from benchmarks.gpu import rules
from benchmarks.gpu.copy_rate import copy_rate
from keras_l2o import packing
from keras_l2o.policies import general

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


def measure(say, arguments, size, form, rate):
    """Reports all rules at one size; returns their seconds, a dict."""
    shapes = models.gpt_shapes(models.GPTS[size])
    count = sum(map(math.prod, shapes))
    say(f"parameters_{size}", count)
    made, optimizers, medians = {}, {}, {}
    for name in arguments.rules:
        started = time.perf_counter()
        device.forget_peak()
        if name == "fused_adam":
            made[name] = FusedAdam(shapes)
        else:
            optimizers[name] = rules.RULES[name]()
            made[name] = FORMS[form](optimizers[name], shapes)
        made[name].run()
        made[name].wait()
        seconds = time.perf_counter() - started
        say.note(f"{name} {size} {form}: ready after {seconds:.1f} s")
    medians = clock.alternate(made, arguments.rounds)
    for name, seconds in medians.items():
        key = f"{name}_{size}_{form}"
        say(f"{key}_milliseconds", 1e3 * seconds)
        if "adam" in medians and name != "adam":
            say(f"{key}_over_adam", seconds / medians["adam"])
        if name in optimizers:
            least = floor(optimizers[name], count, rate)
            say(f"{key}_floor_milliseconds", 1e3 * least)
            say(f"{key}_over_floor", seconds / least)
        peak = made[name].peak_bytes()
        if peak is not None:
            say(f"{key}_peak_gigabytes", peak / 1e9)
        if hasattr(made[name], "program"):
            from benchmarks.gpu.kernels import kernels

            counts = kernels(made[name].program.as_text())
            say(f"{key}_kernels", sum(counts.values()))
    return {name: seconds / count for name, seconds in medians.items()}


def main():
    parser = report.parser(__doc__)
    parser.add_argument("--sizes", nargs="+", default=["25M", "125M", "1M"])
    parser.add_argument(
        "--rules", nargs="+", default=["adam", "general", "feature_mlp"]
    )
    parser.add_argument("--forms", nargs="+", default=["compiled"])
    parser.add_argument("--copied", type=int, default=2**28)
    parser.add_argument("--chunk-floats", type=int)
    parser.add_argument("--group", type=int)
    arguments = parser.parse_args()
    if arguments.chunk_floats:
        packing.CHUNK_FLOATS = arguments.chunk_floats
    if arguments.group:
        general.GROUP = arguments.group
    say = report.Report(arguments, **device.facts())
    rate = copy_rate(arguments.copied)
    say("copy_gigabytes_a_second", rate / 1e9)
    for form in arguments.forms:
        per_parameter = {}
        for size in arguments.sizes:
            per_parameter[size] = measure(say, arguments, size, form, rate)
            gc.collect()
        if len(per_parameter) > 1:
            report_growth(say, per_parameter, form)
    peak = device.peak_bytes()
    if peak is not None:
        say("process_peak_gigabytes", peak / 1e9)


def report_growth(say, per_parameter, form):
    """Time a parameter at the other sizes over that at the smallest."""
    order = [size for size in models.GPTS if size in per_parameter]
    small = per_parameter[order[0]]
    for size in order[1:]:
        for name, seconds in per_parameter[size].items():
            growth = seconds / small[name]
            key = f"{name}_{form}_a_parameter_{size}_over_{order[0]}"
            say(key, growth)


if __name__ == "__main__":
    main()
