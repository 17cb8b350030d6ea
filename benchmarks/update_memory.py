"""Memory that a step of a learned optimizer takes beyond its state.

    python benchmarks/update_memory.py [--width 5000]

A dense layer of `width` squared parameters, 25 million by default, makes three
steps of `fit` with one example, in a process of its own for each optimizer and
backend. `state_gigabytes` is what the optimizer's variables hold;
`beyond_gigabytes` is the process's peak on top of that, less its peak with
SGD, which has the parameters and the gradient and no state.
"""

import argparse
import os
import subprocess
import sys

PROGRAM = """
import resource
import sys
import keras
import numpy as np
import keras_l2o

name, width = sys.argv[1], int(sys.argv[2])
optimizer = {
    "sgd": lambda: keras.optimizers.SGD(1e-3),
    "rnnprop": lambda: keras_l2o.from_hub("min-max/1"),
    "rnnprop_bfloat16": lambda: keras_l2o.from_hub(
        "min-max/1", state_dtype="bfloat16"
    ),
    "feature_mlp": lambda: keras_l2o.LearnedOptimizer(
        keras_l2o.policies.FeatureMLP()
    ),
}[name]()
model = keras.Sequential(
    [keras.Input((width,)), keras.layers.Dense(width, use_bias=False)]
)
model.compile(optimizer, loss="mse")
x = np.ones((3, width), "float32")
model.fit(x, x, batch_size=1, verbose=0)
state = sum(
    np.prod(v.shape) * keras.backend.standardize_dtype(v.dtype).endswith("16")
    * 2 or np.prod(v.shape) * 4
    for v in optimizer.variables
)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print("result", float(state), float(peak))
"""


def measure(backend, name, width):
    """Bytes of the optimizer's state, and the process's peak."""
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, str(width)],
        check=True,
        capture_output=True,
        text=True,
        env={
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **os.environ,
            "KERAS_BACKEND": backend,
        },
    ).stdout
    (line,) = [x for x in output.splitlines() if x.startswith("result")]
    return tuple(map(float, line.split()[1:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=5000)
    width = parser.parse_args().width
    for backend in ("tensorflow", "jax"):
        _, plain = measure(backend, "sgd", width)
        for name in ("feature_mlp", "rnnprop_bfloat16", "rnnprop"):
            state, peak = measure(backend, name, width)
            prefix = f"{backend}_{name}"
            print(f"{prefix}_state_gigabytes = {state / 1e9:.2f}")
            beyond = (peak - plain - state) / 1e9
            print(f"{prefix}_beyond_gigabytes = {beyond:.2f}", flush=True)


if __name__ == "__main__":
    main()
