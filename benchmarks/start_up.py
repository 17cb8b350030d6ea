"""How long it takes until a learned optimizer has made its first step.

    python benchmarks/start_up.py [--rounds 5]

Each round is a new process on each backend; figures are medians of
milliseconds. Keras's import comes first: what is measured is on top of it.
The first step of a small network is compiled: beside Adam's, which compiles
the network alone.

`jax_distil` is all of a short `keras-l2o train` on JAX, and `jax_distil_again`
the same when what the first one has compiled was kept, as it is from one
command to the next. Both import Keras, which takes six of these seconds where
TensorFlow is installed, too.

Last printout, on two cores of an AMD EPYC, others busy beside it, `--rounds 3`;
at rest all is about twice as fast. The first variable of a process, of whatever
package, starts the backend; `from_hub_again` comes after that:

    tensorflow_first_variable = 39.6
    tensorflow_import = 117.9
    tensorflow_from_hub = 87.5
    tensorflow_from_hub_again = 37.0
    tensorflow_first_step_adam = 482.2
    tensorflow_first_step_learned = 1415.5
    jax_first_variable = 76.8
    jax_import = 193.2
    jax_from_hub = 158.8
    jax_from_hub_again = 26.1
    jax_first_step_adam = 471.5
    jax_first_step_learned = 1181.5
    jax_distil = 38009
    jax_distil_again = 20282

Before weights were put where they belong without compiling anything,
`jax_from_hub` was 139 at rest, with a `jax_first_variable` of 43.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

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


TRAIN = (
    "train", "--presets=adam,rmsprop,digits_train,debug",
    "--strategy/name=simple",
)  # fmt: skip


def distillation(cache):
    """Milliseconds of a short distillation, all of it, on JAX.

    Args:
        cache: Path of the user's caches.
    """
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    environment["XDG_CACHE_HOME"] = str(cache)
    with tempfile.TemporaryDirectory() as folder:
        run = [sys.executable, "-m", "keras_l2o_commands", *TRAIN]
        started = time.perf_counter()
        subprocess.run(
            [*run, f"--directory={folder}/run"],
            check=True, capture_output=True, env=environment,
        )  # fmt: skip
        return 1e3 * (time.perf_counter() - started)


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
    figures = {"jax_distil": [], "jax_distil_again": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            for row in figures.values():
                row.append(distillation(cache))
    for name, row in figures.items():
        print(f"{name} = {statistics.median(row):.0f}")


if __name__ == "__main__":
    main()
