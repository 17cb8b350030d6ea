"""The command `tune`, which searches for the best perturbation."""

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
    """The ways to choose the next trial of a search."""

    random = "random"
    bayesian = "bayesian"
    hyperband = "hyperband"
    grid = "grid"


@dataclasses.dataclass(frozen=True)
class TrialRecipe(Recipe):
    """`Recipe` for the training of a trial."""

    strategy: Annotated[
        str,
        typer.Option(
            help="Plan of each trial's training: simple, repeat or curriculum."
        ),
    ] = "simple"
    seed: Annotated[
        int,
        typer.Option(
            help="Seed of the first weights, of the data and of the search."
        ),
    ] = 0


@dataclasses.dataclass(frozen=True)
class Space:
    """Options for what is searched, and for what makes a trial the best."""

    kinds: Annotated[
        str | None,
        typer.Option(
            help="Names of perturbations to try, separated by commas. Default: "
            "all."
        ),
    ] = None
    steps: Annotated[
        int,
        typer.Option(
            min=1, help="Largest number of steps to try of pgd and cgd."
        ),
    ] = 3
    replicates: Annotated[
        int, typer.Option(min=1, help="Number of students in each trial.")
    ] = 2
    spread_weight: Annotated[
        float,
        typer.Option(
            help="The best trial has the lowest mean log loss of its students "
            "plus this weight times their standard deviation."
        ),
    ] = 1.0


@dataclasses.dataclass(frozen=True)
class Effort:
    """Options for how the search proceeds, and for how long."""

    tuner: Annotated[
        Tuner,
        typer.Option(help="How the next trial is chosen, by keras-tuner."),
    ] = Tuner.random
    trials: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of trials. hyperband ignores it and chooses its own "
            "number.",
        ),
    ] = 20
    workers: Annotated[
        int,
        typer.Option(
            min=1, help="Number of processes that run trials at once."
        ),
    ] = 1


def register(application):
    """Adds the command of this module to an application.

    Args:
        application: `typer.Typer`.
    """
    declare(application, goes_on(tune), takes_fields=True)


@grouped
def tune(
    context: typer.Context,
    recipe: TrialRecipe,
    effort: Effort,
    space: Space,
    directory: str = typer.Option(help="Folder of the search."),
    tensorboard: bool = typer.Option(
        False,
        "--tensorboard",
        help="Write logs to DIRECTORY/tensorboard. Needs TensorFlow.",
    ),
):
    """Searches for the kind and magnitude of perturbation that distils best.

    Each trial trains a few students as keras-l2o train would. The fields of
    their configuration are set in the same way; keras-l2o presets lists them.
    The first trial is without a perturbation. The same command continues a
    search that was stopped.

    To search on several machines, use a directory that all of them can access
    and run the same command on each. Set the environment variables
    KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT to the address of the first
    machine, and KERASTUNER_TUNER_ID to chief on the first machine and to
    worker0, worker1, ... on the others.

    Example: keras-l2o tune --presets=digits_train,adam,rmsprop
    --directory=results/tune --trials=20 --workers=2 --tuner=bayesian
    --strategy/num_periods=5
    """
    from keras_l2o import extras

    if tensorboard:
        # Keras's callback needs TensorFlow, whatever the backend is.
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
    """Starts processes that search, and shows their progress in this one."""
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
            "The search itself chooses the perturbation, so the configuration "
            "must have none. Leave out the preset or field that sets "
            f"{configuration.policy['perturbation']['name']}; --kinds says "
            "which perturbations are tried."
        )
    if tuner is Tuner.hyperband and (
        configuration.strategy["name"] == "curriculum"
    ):
        raise config.ConfigurationError(
            "Hyperband sets the number of periods of a trial, which a "
            "curriculum sets itself. Use --strategy=simple or repeat."
        )


def _built(configuration, seed):
    from keras_l2o import config

    # A preset may set the number of replicates of a run; that of a trial is
    # the option --replicates.
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
