"""How long it takes until a learned optimizer has made its first step.

    python benchmarks/start_up.py [--rounds 5]

Each round is a new process on each backend; figures are medians of
milliseconds. Keras's import comes first: what is measured is on top of it.
The first step of a small network is compiled: beside Adam's, which compiles
the network alone.

Last printout, on two cores of an AMD EPYC at rest, `--rounds 5`. The first
variable of a process, of whatever package, starts the backend; `from_hub_again`
comes after that:

    tensorflow_first_variable = 25.3
    tensorflow_import = 39.6
    tensorflow_from_hub = 62.2
    tensorflow_from_hub_again = 16.3
    tensorflow_first_step_adam = 263.4
    tensorflow_first_step_learned = 741.2
    jax_first_variable = 42.9
    jax_import = 40.7
    jax_from_hub = 139.2
    jax_from_hub_again = 9.8
    jax_first_step_adam = 203.5
    jax_first_step_learned = 419.5
"""

import argparse
import os
import statistics
import subprocess
import sys

#: What any first use of a backend takes, in a process of its own.
BACKEND = """
import time
import keras
import numpy as np

started = time.perf_counter()
keras.Variable(np.zeros((2, 3), "float32"))
print("lap", "first_variable", 1e3 * (time.perf_counter() - started))
"""

PROGRAM = """
import time
import keras
import numpy as np

def lap(name):
    global started
    now = time.perf_counter()
    print("lap", name, 1e3 * (now - started))
    started = time.perf_counter()

started = time.perf_counter()
import keras_l2o
lap("import")
optimizer = keras_l2o.from_hub("min-max/1")
lap("from_hub")
keras_l2o.from_hub("min-max/1")
lap("from_hub_again")
x, y = np.zeros((32, 8), "float32"), np.zeros((32, 1), "float32")
for name, optimizer in (
    ("warm", "sgd"), ("adam", "adam"), ("learned", optimizer)
):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    model.compile(optimizer=optimizer, loss="mse")
    started = time.perf_counter()
    model.fit(x, y, epochs=1, verbose=0)
    lap("first_step_" + name)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for backend in ("tensorflow", "jax"):
        laps = {}
        for program in [BACKEND, PROGRAM] * rounds:
            output = subprocess.run(
                [sys.executable, "-c", program],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, "KERAS_BACKEND": backend},
            ).stdout
            for line in output.splitlines():
                if line.startswith("lap "):
                    _, name, milliseconds = line.split()
                    laps.setdefault(name, []).append(float(milliseconds))
        for name, row in laps.items():
            if name != "first_step_warm":
                print(f"{backend}_{name} = {statistics.median(row):.1f}")


if __name__ == "__main__":
    main()
