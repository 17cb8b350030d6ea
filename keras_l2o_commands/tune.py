"""The command that searches for a perturbation."""

import dataclasses
import enum
import pathlib
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from keras_l2o_commands import typed
from keras_l2o_commands.declare import declare
from keras_l2o_commands.declare import grouped
from keras_l2o_commands.interruption import goes_on
from keras_l2o_commands.options import Recipe
from keras_l2o_commands.progress import Progress
from keras_l2o_commands.tables import print_line


class Tuner(enum.StrEnum):
    """How the next trial is chosen."""

    random = "random"
    bayesian = "bayesian"
    hyperband = "hyperband"
    grid = "grid"


@dataclasses.dataclass(frozen=True)
class TrialRecipe(Recipe):
    """How a trial trains; the seed is the search's, too."""

    strategy: Annotated[
        str,
        typer.Option(help="simple, repeat or curriculum: how a trial trains."),
    ] = "simple"
    seed: Annotated[
        int, typer.Option(help="Of weights, data and the search.")
    ] = 0


@dataclasses.dataclass(frozen=True)
class Space:
    """What is searched, and what counts."""

    kinds: Annotated[
        str | None,
        typer.Option(help="Perturbations to try, with commas. Default: all."),
    ] = None
    steps: Annotated[
        int, typer.Option(min=1, help="Most steps of pgd and cgd.")
    ] = 3
    replicates: Annotated[
        int, typer.Option(min=1, help="Students of a trial.")
    ] = 2
    spread_weight: Annotated[
        float, typer.Option(help="Weight of the spread between the students.")
    ] = 1.0


@dataclasses.dataclass(frozen=True)
class Effort:
    """Who searches, and how long."""

    tuner: Annotated[
        Tuner, typer.Option(help="How the next trial is chosen.")
    ] = Tuner.random
    trials: Annotated[
        int,
        typer.Option(min=1, help="Number of trials. Hyperband has its own."),
    ] = 20
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that run trials side by side.")
    ] = 1


def register(application):
    """Adds the command to a `typer.Typer`."""
    declare(application, goes_on(tune), takes_fields=True)


@grouped
def tune(
    context: typer.Context,
    recipe: TrialRecipe,
    effort: Effort,
    space: Space,
    directory: str = typer.Option(help="Folder of the search."),
    tensorboard: bool = typer.Option(
        False, "--tensorboard", help="Write logs to the folder tensorboard."
    ),
):
    """Searches for the kind and magnitude of perturbation that distils best.

    A trial trains some students as keras-l2o train would; fields of their
    configuration are set in the same way: keras-l2o presets lists them. No
    perturbation is the first trial.
    The same command goes on with a search that was stopped.

    On many machines, with one directory that all of them see, run the same
    command on each, with KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT set
    to the address of the first, and KERASTUNER_TUNER_ID to chief on the first
    and to worker0, worker1, ... on the others.

    Example: keras-l2o tune --presets=digits_train,adam,rmsprop
    --directory=results/tune --trials=20 --workers=2 --tuner=bayesian
    --strategy/num_periods=5
    """
    from keras_l2o import extras

    if tensorboard:
        # By Keras's callback, which writes by TensorFlow on every backend.
        extras.need("tensorflow", "--tensorboard")
    from keras_l2o import config
    from keras_l2o import tuner as tuner_module
    from keras_l2o.tuner import search
    from keras_l2o_commands.trial_progress import TrialProgress

    configuration = recipe.configuration(context)
    _check(configuration, effort.tuner)
    hypermodel = tuner_module.PerturbationHyperModel(
        lambda seed: _built(configuration, seed),
        kinds=space.kinds.split(",") if space.kinds else None,
        steps=(1, space.steps),
        replicates=space.replicates,
        spread_weight=space.spread_weight,
        seed=recipe.seed,
    )
    role = search.role()
    if role != "worker":
        opened = search.open_directory(
            directory,
            {
                "run": config.description(
                    configuration, search.stored_run(directory)
                ),
                "tuner": effort.tuner.value,
                "magnitudes": hypermodel.magnitudes,
                "steps": space.steps,
                "replicates": space.replicates,
                "spread_weight": space.spread_weight,
            },
            effort.workers,
        )
        context.with_resource(opened)
    total = None if effort.tuner is Tuner.hyperband else effort.trials
    with Progress("preparing", total) as progress:
        if role == "alone" and effort.workers > 1:
            _search_in_crew(context, directory, effort.workers, progress)
        else:
            searching = search.make_tuner(
                effort.tuner.value,
                hypermodel,
                directory,
                effort.trials,
                configuration.strategy["num_periods"],
                recipe.seed,
            )
            watching = TrialProgress(directory, total, progress)
            _search_here(directory, searching, watching, tensorboard)
    if role != "worker":
        _report(directory)


def _search_in_crew(context, directory, workers, progress):
    """Processes of this command search; this one looks at what they have."""
    from keras_l2o.tuner import crew
    from keras_l2o.tuner import search

    logs = pathlib.Path(directory, "logs")
    progress.announce(f"{workers} processes are starting, see {logs}")
    ended = None

    def look(_):
        nonlocal ended
        before, ended = ended, search.count_ended(directory)
        line = f"{ended} trials have ended"
        progress.move(ended, line)
        if before is not None and ended > before:
            progress.note(line)

    command = [sys.executable, "-m", "keras_l2o_commands"]
    command += typed.arguments(context)
    crew.run(command, workers, logs, look)


def _search_here(directory, searching, watching, tensorboard):
    callbacks = [watching]
    if tensorboard:
        import keras

        callbacks.append(
            keras.callbacks.TensorBoard(
                pathlib.Path(directory, "tensorboard"), write_graph=False
            )
        )
    searching.search(callbacks=callbacks, verbose=0)


def _check(configuration, tuner):
    from keras_l2o import config

    if configuration.policy["perturbation"] is not None:
        raise config.ConfigurationError(
            "The search chooses the perturbation: leave out the preset "
            f"{configuration.policy['perturbation']['name']}, or choose among "
            "fewer by --kinds."
        )
    if tuner is Tuner.hyperband and (
        configuration.strategy["name"] == "curriculum"
    ):
        raise config.ConfigurationError(
            "Hyperband says how many periods a trial has, and a curriculum "
            "has its own number: take --strategy=simple or repeat."
        )


def _built(configuration, seed):
    from keras_l2o import config

    # Several of a preset are those of a run: a trial has a number of its own.
    update = {"seed": seed, "replicates": None}
    built = config.build(configuration.model_copy(update=update))
    return built.trainer, built.callbacks


def _report(directory):
    from keras_l2o.evaluation import cells
    from keras_l2o.tuner import search

    trials = search.read_trials(directory)
    best = search.best_trial(trials)
    search.write_best(directory, best)
    table = Table(title=f"Trials of {directory}")
    table.add_column("trial")
    table.add_column("perturbation")
    for column in ("magnitude", "steps", "val. log loss", "spread"):
        table.add_column(column, justify="right")
    table.add_column("")
    for trial in trials:
        chosen = trial.perturbation or {"name": "none", "config": {}}
        note = "best" if trial is best else ""
        table.add_row(
            trial.name,
            chosen["name"],
            cells.number(chosen["config"].get("magnitude"), ".2e"),
            cells.number(chosen["config"].get("steps"), "d"),
            cells.number(trial.figures.get("val_log_loss"), ".4f"),
            cells.number(trial.figures.get("val_log_loss_spread"), ".4f"),
            note if trial.status == "COMPLETED" else trial.status.lower(),
        )
    Console().print(table)
    print_line(f"best student: {pathlib.Path(directory, search.OPTIMIZER)}")
    if best.perturbation is not None:
        flags = [
            f"--policy/perturbation/config/{key}={value:g}"
            for key, value in best.perturbation["config"].items()
        ]
        print_line(
            "for a longer run: keras-l2o train "
            f"--policy/perturbation/name={best.perturbation['name']} "
            f"{' '.join(flags)} ..."
        )
