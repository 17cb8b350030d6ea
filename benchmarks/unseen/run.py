"""Evaluates optimizers on tasks that no meta-training has seen.

    KERAS_BACKEND=jax python -m benchmarks.unseen.run evaluate \
        --steps 400 --contenders general/1 adamw_cosine/tuned
    KERAS_BACKEND=jax python -m benchmarks.unseen.run single

`README.md` says what contenders there are. What is stored is not run again.
"""

import argparse
import functools
import gc
import pathlib
import re

import keras
from keras.optimizers import schedules

from benchmarks.unseen import opponents
from benchmarks.unseen import search
from benchmarks.unseen import tasks
from keras_l2o import evaluation
from keras_l2o.evaluation.contender import Contender
from keras_l2o.evaluation.contender import contender
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.problems import DatasetError

#: How an opponent of Keras's comes by its setting.
HOW = ("tuned", "default")
#: All of Keras's contenders.
ALL = (
    *(f"{name}/{how}" for name in opponents.OPPONENTS for how in HOW),
    f"{search.SINGLE}/single",
)
#: What follows a learned optimizer's name if its rate is to fall.
COSINE = "+cosine"
#: And if it is not told the horizon, and its weights are averaged.
OPEN = "+open"


def folder_name(text: str) -> str:
    """The folder that a contender's runs are stored in.

    Args:
        text: String, a contender. One that is given as `<name>=<path>` has the
            name; of a path alone, it is the path.
    """
    name = text.partition("=")[0]
    for end in (COSINE, OPEN):
        if "=" in text and text.endswith(end):
            name += end
    return re.sub(r"[^\w./+-]+", "-", name).strip("./")


def make_contender(text, problem, steps, directory):
    """The `Contender` of what the command line names, for a task.

    Args:
        text: String, such as `"adamw_cosine/tuned"`, `"general/1"`,
            `"min-max/1+cosine"` or `"mine=results/mine"`.
        problem: `Problem`, for which opponents are tuned.
        steps: Int. Steps of a run.
        directory: Path in which searches are stored.
    """
    if text in ALL:
        name, _, how = text.partition("/")
        if how == "tuned":
            setting = search.tuned(problem, name, steps, directory)
        elif how == "single":
            setting = search.single()
        else:
            setting = opponents.Setting(*opponents.OPPONENTS[name].default)
        make = functools.partial(opponents.optimizer, name, setting, steps)
        return Contender(text, make)
    where = text.partition("=")[2] or text
    found = contender(where.removesuffix(COSINE).removesuffix(OPEN))
    make = found.make
    if text.endswith(COSINE):
        make = functools.partial(_with_cosine, found.make, steps)
    elif text.endswith(OPEN):
        make = functools.partial(_open, found.make)
    return Contender(folder_name(text), make)


def _with_cosine(make, steps):
    """A learned optimizer whose updates fall along a cosine."""
    return _changed(make(), learning_rate=schedules.CosineDecay(1.0, steps))


def _open(make):
    """A learned optimizer for a training of unknown length."""
    optimizer = _changed(make(), use_ema=True)
    optimizer.policy.reads_horizon = False
    return optimizer


def _changed(optimizer, **arguments):
    if not isinstance(optimizer, LearnedOptimizer):
        raise ValueError(
            f"{COSINE!r} and {OPEN!r} are for learned optimizers alone."
        )
    return LearnedOptimizer.from_config({**optimizer.get_config(), **arguments})


def evaluate(names, contenders, steps, seeds, directory):
    """Evaluates contenders on tasks, and stores the runs.

    Args:
        names: List of the names of tasks. One whose data are not prepared is
            left out, and this is printed.
        contenders: List of strings, as in `make_contender`.
        steps: Int. Steps of a run.
        seeds: Int. Number of runs; run `i` has seed `i`.
        directory: Path. The runs are stored in
            `<directory>/<steps>/<contender>/evaluations/<task>.npz`.
    """
    directory = pathlib.Path(directory, str(steps))
    for name in names:
        try:
            problem = tasks.make(name)
        except DatasetError as error:
            print(f"{name}: left out. {error}", flush=True)
            continue
        for text in contenders:
            frame = evaluation.evaluate(
                make_contender(text, problem, steps, directory),
                problem,
                repeat=seeds,
                steps=steps,
                epoch_steps=search.epoch_steps(steps),
                directory=directory / folder_name(text),
            )
            runs = frame.groupby("run")["validation_loss"]
            losses = " ".join(f"{loss:.4g}" for loss in runs.min())
            print(f"{steps} {name} {text}: {losses}", flush=True)
        _forget()


def _forget():
    """Frees the compiled programs of a task."""
    keras.backend.clear_session()
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
    gc.collect()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    alone = commands.add_parser(
        "single", help="search one setting for the meta-training's problems"
    )
    alone.add_argument(
        "--optimizer", choices=opponents.OPPONENTS, default=search.SINGLE
    )
    run = commands.add_parser("evaluate", help="evaluate contenders on tasks")
    run.add_argument("--steps", type=int, nargs="+", default=[400])
    run.add_argument("--seeds", type=int, default=5)
    run.add_argument("--tasks", nargs="+", default=list(tasks.TASKS))
    run.add_argument("--contenders", nargs="+", default=list(ALL))
    run.add_argument("--directory", type=pathlib.Path, default="unseen")
    given = parser.parse_args(arguments)
    if given.command == "single":
        print(search.find_single(given.optimizer))
        return
    for steps in given.steps:
        evaluate(
            given.tasks, given.contenders, steps, given.seeds, given.directory
        )


if __name__ == "__main__":
    main()
