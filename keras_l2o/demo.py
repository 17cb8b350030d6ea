"""The main job, end to end: load an optimizer, use it, distil another."""

import pathlib
import time

import keras
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import keras_l2o
from keras_l2o import extras
from keras_l2o import hub
from keras_l2o.evaluation import end_loss
from keras_l2o.evaluation import train
from keras_l2o.evaluation.plots import plot_curves
from keras_l2o.problems import datasets
from keras_l2o.version import versions

REPLICATE = "min-max-compact/1"
ADAM_RATES = (1e-3, 1e-2, 3e-2)
COMMAND = "keras-l2o demo"
FASHION_EXAMPLES = 20_000


def main(output="demo", quick=False):
    """Runs the demonstration.

    Args:
        output: Folder for the picture and the distilled optimizer.
        quick: Bool. A few steps of everything, to see that it runs.
    """
    extras.need("plots", "The demonstration")
    console = Console()
    started = time.monotonic()
    output = pathlib.Path(output)
    check_output(output)
    output.mkdir(parents=True, exist_ok=True)
    contenders = {
        REPLICATE: lambda: keras_l2o.from_hub(REPLICATE),
        **{
            f"Adam {rate:g}": lambda rate=rate: keras.optimizers.Adam(rate)
            for rate in ADAM_RATES
        },
    }
    panels = {
        "digits": compare(
            console,
            keras_l2o.problems.get("digits_train"),
            contenders,
            steps=20 if quick else 400,
            seeds=range(1 if quick else 3),
        )
    }
    fashion = fashion_mnist(console)
    if fashion is not None:
        panels["Fashion-MNIST"] = compare(
            console,
            fashion,
            contenders,
            steps=20 if quick else 312,
            seeds=range(1 if quick else 2),
        )
    picture = output / "curves.png"
    plot_curves(panels, picture)
    console.print(f"Loss curves: [bold]{picture}[/]")
    distil(console, output / "optimizer", quick)
    console.print(f"Done in {time.monotonic() - started:.0f} seconds.")


def check_output(output):
    """Refuses a folder whose optimizer is not one that a demo has left."""
    folder = output / "optimizer"
    if not folder.exists():
        return
    command = hub.folder.read_metadata(folder).get("command")
    if not str(command).startswith(COMMAND):
        raise hub.HubError(
            f"{folder} holds an optimizer that no demo has made: it is not "
            "replaced. Name another folder by --output."
        )


def compare(console, problem, contenders, steps, seeds):
    """Trains with each optimizer from the same starts, and prints a table."""
    jobs = [(name, seed) for name in contenders for seed in seeds]
    curves = {name: [] for name in contenders}
    for name, seed in track(
        jobs, f"Training {problem.name}", console=console, transient=True
    ):
        optimizer = contenders[name]()
        curves[name].append(train(problem, optimizer, steps, seed=seed))
    table = Table(
        title=f"{problem.name}: {steps} steps, {len(seeds)} seeds, "
        "mean ± standard deviation"
    )
    table.add_column("optimizer")
    table.add_column("train loss, last 50 steps", justify="right")
    table.add_column("validation accuracy", justify="right")
    for name, runs in curves.items():
        losses = [end_loss(run) for run in runs]
        accuracies = [100 * run.validation_accuracy[-1] for run in runs]
        table.add_row(
            name,
            f"{np.mean(losses):.2e} ± {_spread(losses):.1e}",
            f"{np.mean(accuracies):.1f} ± {_spread(accuracies):.1f} %",
        )
    console.print(table)
    return curves


def _spread(values):
    """Sample standard deviation; none of a single seed."""
    return float(np.std(values, ddof=min(1, len(values) - 1)))


def fashion_mnist(console):
    """Fashion-MNIST's problem on part of its examples, if it is on disk."""
    if not pathlib.Path(datasets.data_dir(), "fashion_mnist").is_dir():
        # Loading would download it, where there is a network.
        console.print("Fashion-MNIST is not prepared: run `make fashion-mnist`")
        return None
    try:
        return keras_l2o.problems.get("conv_fmnist", examples=FASHION_EXAMPLES)
    except (keras_l2o.problems.DatasetError, extras.MissingExtra) as error:
        console.print(f"Without Fashion-MNIST: {error}", markup=False)
        return None


def distil(console, folder, quick):
    """Distils a small optimizer, saves it, loads it, uses it."""
    console.print(
        "Distilling Adam and RMSprop into a small RNNProp, about a minute:"
    )
    keras.utils.set_random_seed(0)
    trainer = keras_l2o.MetaTrainer(
        student=keras_l2o.policies.RNNProp(units=(10,)),
        unroll=5 if quick else 50,
        depth=(1, 4),
        tasks=2,
    )
    # The first steps of a training this short are its only ones: a bolder
    # outer rate than the default's.
    trainer.compile(optimizer=keras.optimizers.Adam(3e-3))
    trainer.fit(
        epochs=1 if quick else 8,
        steps_per_epoch=1 if quick else 10,
        verbose=2 if quick else "auto",
    )
    keras_l2o.save(
        trainer.to_optimizer(),
        folder,
        metadata={
            "command": COMMAND + " --quick" * quick,
            "seed": 0,
            "data": {p.name: p.digest() for p in trainer.problems},
            "versions": versions(),
        },
        overwrite=True,
    )
    problem = keras_l2o.problems.get("digits_train")
    steps = 20 if quick else 200
    run = train(problem, keras_l2o.load(folder), steps)
    accuracy = 100 * run.validation_accuracy[-1]
    console.print(
        f"Saved to [bold]{folder}[/] and loaded again: training loss "
        f"{run.losses[0]:.2f} falls to {end_loss(run, 10):.2g} in {steps} "
        f"steps on digits, validation accuracy {accuracy:.1f} %."
    )
