"""The command that searches for a perturbation."""

import enum
import pathlib
import sys

import typer
from rich.console import Console
from rich.table import Table

from keras_l2o_commands import typed
from keras_l2o_commands.declare import declare
from keras_l2o_commands.interruption import goes_on
from keras_l2o_commands.progress import Progress
from keras_l2o_commands.run import overrides
from keras_l2o_commands.tables import print_line


class Tuner(enum.StrEnum):
    """How the next trial is chosen."""

    random = "random"
    bayesian = "bayesian"
    hyperband = "hyperband"
    grid = "grid"


TUNER = typer.Option(Tuner.random, help="How the next trial is chosen.")


def register(application):
    """Adds the command to a `typer.Typer`."""
    declare(application, goes_on(tune), takes_fields=True)


def tune(
    context: typer.Context,
    directory: str = typer.Option(help="Folder of the search."),
    presets: str = typer.Option("", help="Names of presets, with commas."),
    strategy: str = typer.Option(
        "simple", help="simple, repeat or curriculum: how a trial trains."
    ),
    policy: str = typer.Option(
        None, help="Name of the policy to be trained. Default: rnnprop."
    ),
    tuner: Tuner = TUNER,
    trials: int = typer.Option(
        20, min=1, help="Number of trials. Hyperband has its own."
    ),
    workers: int = typer.Option(
        1, min=1, help="Processes that run trials side by side."
    ),
    replicates: int = typer.Option(2, min=1, help="Students of a trial."),
    spread_weight: float = typer.Option(
        1.0, help="Weight of the spread between the students."
    ),
    kinds: str = typer.Option(
        None, help="Perturbations to try, with commas. Default: all."
    ),
    steps: int = typer.Option(3, min=1, help="Most steps of pgd and cgd."),
    tensorboard: bool = typer.Option(
        False, "--tensorboard", help="Write logs to the folder tensorboard."
    ),
    seed: int = typer.Option(0, help="Of weights, data and the search."),
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

    configuration = config.resolve(
        [name for name in presets.split(",") if name],
        policy,
        strategy,
        overrides(context),
        seed,
    )
    _check(configuration, tuner)
    hypermodel = tuner_module.PerturbationHyperModel(
        lambda seed: _built(configuration, seed),
        kinds=kinds.split(",") if kinds else None,
        steps=(1, steps),
        replicates=replicates,
        spread_weight=spread_weight,
        seed=seed,
    )
    role = search.role()
    if role != "worker":
        opened = search.open_directory(
            directory,
            {
                "run": configuration.model_dump(mode="json"),
                "tuner": tuner.value,
                "magnitudes": hypermodel.magnitudes,
                "steps": steps,
                "replicates": replicates,
                "spread_weight": spread_weight,
            },
            workers,
        )
        context.with_resource(opened)
    total = None if tuner is Tuner.hyperband else trials
    with Progress("preparing", total) as progress:
        if role == "alone" and workers > 1:
            _search_in_crew(context, directory, workers, progress)
        else:
            searching = search.make_tuner(
                tuner.value,
                hypermodel,
                directory,
                trials,
                configuration.strategy["num_periods"],
                seed,
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
            _number(chosen["config"].get("magnitude"), ".2e"),
            _number(chosen["config"].get("steps"), "d"),
            _number(trial.figures.get("val_log_loss"), ".4f"),
            _number(trial.figures.get("val_log_loss_spread"), ".4f"),
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


def _number(value, form):
    return "-" if value is None else format(value, form)
