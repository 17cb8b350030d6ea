"""Memory that a step of a learned optimizer takes beyond its state.

    python benchmarks/update_memory.py [--width 5000]

A dense layer of `width` squared parameters, 25 million by default, makes three
steps of `fit` with one example, in a process of its own for each optimizer and
backend. `state_gigabytes` is what the optimizer's variables hold;
`beyond_gigabytes` is the process's peak on top of that, less its peak with
SGD, which has the parameters and the gradient and no state.

Last printout, on two cores of an AMD EPYC, TensorFlow 2.21, JAX 0.10:

    tensorflow_feature_mlp_state_gigabytes = 0.40
    tensorflow_feature_mlp_beyond_gigabytes = 0.23
    tensorflow_rnnprop_bfloat16_state_gigabytes = 4.10
    tensorflow_rnnprop_bfloat16_beyond_gigabytes = 0.48
    tensorflow_rnnprop_state_gigabytes = 8.20
    tensorflow_rnnprop_beyond_gigabytes = 0.60
    jax_feature_mlp_state_gigabytes = 0.40
    jax_feature_mlp_beyond_gigabytes = -0.02
    jax_rnnprop_bfloat16_state_gigabytes = 4.10
    jax_rnnprop_bfloat16_beyond_gigabytes = 4.00
    jax_rnnprop_state_gigabytes = 8.20
    jax_rnnprop_beyond_gigabytes = -0.02

On JAX and a processor a state in bfloat16 exists twice within a step, as
floats and as the integers that can be updated in place: there it saves disk,
not memory. As floats alone a step took four times as long, and more the larger
the model.
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
