"""The ratios that must not get worse, with their limits, in some minutes.

    python -m benchmarks.quick [--store]

Runs `benchmarks/training_step.py` on each backend that is installed and prints
its ratios beside those that were stored last, in `benchmarks/quick.json`, and
beside their limits. A ratio above its limit makes the exit status 1. `--store`
puts the ratios of this run in the file; limits are put there by hand. Ratios
are of times taken in turn in one process, so that machines differ less in them
than in times; a machine that does something else at the time spoils them.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import rich.console
import rich.table

from keras_l2o.files import whole

STORED = pathlib.Path(__file__).parent / "quick.json"
SCRIPT = pathlib.Path(__file__).parent / "training_step.py"
MODELS = ("cnn", "mlp", "lstm", "embedding")
ENDING = "_over_adam"
ROUNDS = 5


def measured(backend: str) -> dict[str, float]:
    """Ratios on a backend, by their names."""
    result = subprocess.run(
        [sys.executable, SCRIPT, f"--rounds={ROUNDS}", "--models", *MODELS],
        env={**os.environ, "KERAS_BACKEND": backend},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    pairs = [line.split(" = ") for line in result.stdout.splitlines()]
    return {
        name.removesuffix(ENDING): float(value)
        for name, value in pairs
        if name.endswith(ENDING)
    }


def main() -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", action="store_true")
    arguments = parser.parse_args()
    stored = json.loads(STORED.read_text())
    table = rich.table.Table("backend", "step over Adam's", *("now", "last"))
    table.add_column("limit")
    above = 0
    for backend, rows in stored.items():
        if importlib.util.find_spec(backend) is None:
            print(f"{backend} is not installed")
            continue
        for name, now in measured(backend).items():
            row = rows.setdefault(name, {"last": None, "limit": None})
            limit = row["limit"]
            over = limit is not None and now > limit
            above += over
            cells = [f"{now:.2f}", *map(str, (row["last"], limit))]
            table.add_row(backend, name, *cells, style="red" if over else None)
            row["last"] = now if arguments.store else row["last"]
    rich.console.Console(width=80).print(table)
    if arguments.store:
        text = json.dumps(stored, indent=2) + "\n"
        whole.write(STORED, text.encode())
    print(f"above_their_limits = {above}")
    return int(above > 0)


if __name__ == "__main__":
    sys.exit(main())
