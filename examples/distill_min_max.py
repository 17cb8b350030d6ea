"""Distils `pre-trained/min-max/1`: Adam and RMSprop into one RNNProp.

    python examples/distill_min_max.py --output pre-trained/min-max/1

About an hour on two cores. It may be stopped at any time: the same command
goes on from the last finished epoch. `--hours` bounds the time of one run.
"""

import argparse
import json
import pathlib
import sys
import time

import keras
import numpy as np

import keras_l2o
from keras_l2o import policies

PROBLEMS = ["digits_train", "digits_mlp"]
RULES = {"adam": policies.Adam, "rmsprop": policies.RMSprop}
RATES = [0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1]


def search_rates(seed):
    """Mean log loss after 400 steps of each rule at each rate."""
    trainer = keras_l2o.MetaTrainer(
        teachers={
            f"{name} {rate}": rule(rate)
            for name, rule in RULES.items()
            for rate in RATES
        },
        problems=PROBLEMS,
        validation_depth=4,
        validation_tasks=2,
        seed=seed,
    )
    logs = trainer.evaluate(verbose=0)
    table = {}
    for key, value in logs.items():
        name, _, rate = key.removesuffix("_log_loss").partition(" ")
        if rate:
            table.setdefault(name, {})[rate] = float(value)
    return table


class Anneal(keras.callbacks.Callback):
    """Lowers the imitation weight linearly to zero."""

    def __init__(self, start, epochs):
        super().__init__()
        self.start, self.epochs = start, epochs

    def on_epoch_begin(self, epoch, logs=None):
        share = max(0.0, 1.0 - epoch / self.epochs)
        self.model.imitation_weight.assign(self.start * share)


class Progress(keras.callbacks.Callback):
    """Keeps what a later run needs, whole files only."""

    def __init__(self, folder, history, hours):
        super().__init__()
        self.folder, self.history = folder, history
        self.deadline = time.monotonic() + 3600 * hours

    def on_epoch_end(self, epoch, logs=None):
        self.history.append({k: float(v) for k, v in logs.items()})
        best = min(row["val_log_loss"] for row in self.history)
        if self.history[-1]["val_log_loss"] == best:
            self._write("best.weights.h5", self.model.save_weights)
        self._write("last.weights.h5", self.model.save_weights)
        self._write(
            "history.json",
            lambda path: pathlib.Path(path).write_text(
                json.dumps(self.history, indent=1)
            ),
        )
        if time.monotonic() > self.deadline:
            self.model.stop_training = True

    def _write(self, name, write):
        temporary = self.folder / f"new.{name}"
        write(str(temporary))
        temporary.replace(self.folder / name)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="results/min-max/1/optimizer")
    parser.add_argument("--run", default="results/min-max/1")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=float("inf"))
    arguments = parser.parse_args()
    run = pathlib.Path(arguments.run)
    run.mkdir(parents=True, exist_ok=True)

    table_file = run / "rates.json"
    if not table_file.exists():
        table_file.write_text(json.dumps(search_rates(arguments.seed)))
    table = json.loads(table_file.read_text())
    rates = {name: float(min(row, key=row.get)) for name, row in table.items()}
    print("teachers' rates:", rates)

    keras.utils.set_random_seed(arguments.seed)
    steps_per_epoch, depth = 20, (1, 5)
    trainer = keras_l2o.MetaTrainer(
        student=policies.RNNProp(),
        teachers={name: RULES[name](rate) for name, rate in rates.items()},
        problems=PROBLEMS,
        imitation_weight=0.5,
        unroll=100,
        depth=depth,
        tasks=2,
        parameter_scale_spread=1.0,
        validation_depth=4,
        validation_tasks=2,
        seed=arguments.seed,
    )
    schedule = keras.optimizers.schedules.CosineDecay(
        1e-3, arguments.epochs * steps_per_epoch, alpha=0.03
    )
    trainer.compile(optimizer=keras.optimizers.Adam(schedule))
    history = []
    if (run / "history.json").exists():
        history = json.loads((run / "history.json").read_text())
        trainer.load_weights(run / "last.weights.h5")
    trainer.fit(
        epochs=arguments.epochs,
        initial_epoch=len(history),
        steps_per_epoch=steps_per_epoch,
        callbacks=[
            Anneal(0.5, 0.7 * arguments.epochs),
            Progress(run, history, arguments.hours),
        ],
        verbose=2,
    )
    trainer.load_weights(run / "best.weights.h5")
    best = int(np.argmin([row["val_log_loss"] for row in history]))
    keras_l2o.save(
        trainer.to_optimizer(),
        arguments.output,
        metadata={
            "command": "python examples/distill_min_max.py "
            f"--output {arguments.output} --epochs {arguments.epochs} "
            f"--seed {arguments.seed}",
            "seed": arguments.seed,
            "distillation": "min-max",
            "teachers": rates,
            "rate_search": table,
            "problems": PROBLEMS,
            "data": {p.name: p.digest() for p in trainer.problems},
            "versions": keras_l2o.version.versions(),
            "outer_steps": len(history) * steps_per_epoch,
            "best_epoch": best,
            "figures": {
                key: value
                for key, value in history[best].items()
                if key.startswith("val_")
            },
        },
        overwrite=True,
    )
    print(f"saved to {arguments.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
