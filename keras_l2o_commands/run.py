"""The commands `train`, `train-family`, `resume` and `package`."""

import pathlib

import typer
from rich.console import Console
from rich.table import Table

from keras_l2o_commands import typed
from keras_l2o_commands.declare import declare
from keras_l2o_commands.declare import grouped
from keras_l2o_commands.interruption import goes_on
from keras_l2o_commands.interruption import interruptible
from keras_l2o_commands.options import Recipe
from keras_l2o_commands.options import Where
from keras_l2o_commands.progress import Progress
from keras_l2o_commands.run_progress import run_progress
from keras_l2o_commands.tables import print_line

DIRECTORY = typer.Argument(help="Folder of the run.")
TENSORBOARD = typer.Option(
    False,
    "--tensorboard",
    help="Write losses and other figures to DIRECTORY/tensorboard, which "
    "tensorboard --logdir shows.",
)


def register(application):
    """Adds the commands of this module to an application.

    Args:
        application: `typer.Typer`.
    """
    declare(application, train, takes_fields=True)
    declare(application, goes_on(train_family), "train-family", True)
    declare(application, resume)
    declare(application, package)


@grouped
def train(
    context: typer.Context,
    recipe: Recipe,
    directory: str = typer.Option(help="Folder of the run."),
    tensorboard: bool = TENSORBOARD,
):
    """Trains a policy. The same command continues a run that was stopped.

    keras-l2o presets lists the presets, and keras-l2o presets NAME,NAME,...
    lists every field of the configuration that they result in. Any field can be
    set by --path/to/field=value, where the value is JSON or a plain text. The
    run stores its configuration in DIRECTORY/config.json.

    Example: keras-l2o train --presets=conv_train,adam,rmsprop,il_more
    --strategy=curriculum --policy=rnnprop
    --directory=results/rnnprop/min-max/1 --problems/0/dataset=digits
    """
    command = typed.line(typed.arguments(context))
    line = f"no period is finished. Start again with: {command}"
    with interruptible(line) as interruption:
        configuration = recipe.configuration(context)
        metadata = {"command": command}
        _run(configuration, directory, metadata, tensorboard, interruption)


@grouped
def train_family(
    context: typer.Context,
    recipe: Recipe,
    where: Where,
    runs: int = typer.Option(8, min=1, help="Number of replicates."),
    directory: str = typer.Option(
        help="Folder in which each run has a folder, 1, 2, 3, ...; if workers "
        "are on several machines, one that all of them see."
    ),
):
    """Trains the replicates of a family side by side, each a run of its own.

    The options are those of train; the replicates have --seed and the numbers
    that follow it. The same command continues runs that were stopped.

    Example: keras-l2o train-family --presets=digits_train,adam --workers=2
    --directory=results/mine
    """
    from keras_l2o.config import family

    configuration = recipe.configuration(context)
    metadata = {"command": typed.line(typed.arguments(context))}
    if where.workers is None and where.scheduler is None:
        raise ValueError(
            "Give one of --workers and --scheduler: who trains the replicates."
        )
    with where.cluster() as cluster, run_progress(directory, runs) as progress:
        family.train_family(
            configuration,
            directory,
            cluster,
            runs,
            metadata,
            lambda run: progress.advance(f"run {run}"),
        )
    print_line(
        f"stored in {directory}; keras-l2o package DIRECTORY/1 OUTPUT "
        "takes the best optimizer of a run"
    )


def resume(directory: str = DIRECTORY, tensorboard: bool = TENSORBOARD):
    """Continues a run that was stopped, from its last finished period.

    Example: keras-l2o resume results/rnnprop/min-max/1
    """
    line = f"no further period is finished. Go on with: {_resume(directory)}"
    with interruptible(line) as interruption:
        from keras_l2o import config
        from keras_l2o import strategies

        stored = strategies.RunDirectory(directory).config()
        configuration = config.check(stored["run"])
        metadata = stored["metadata"]
        _run(configuration, directory, metadata, tensorboard, interruption)


def package(
    directory: str = DIRECTORY,
    output: str = typer.Argument(
        help="Folder to write, such as optimizers/min-max/1. For a run of "
        "several replicates, such as optimizers/min-max, in which each "
        "replicate gets a folder."
    ),
    overwrite: bool = typer.Option(
        False, help="Replace an optimizer that is in the folder already."
    ),
):
    """Copies the best optimizer of a run, so far, to a folder of its own.

    Example: keras-l2o package results/rnnprop/min-max/1 optimizers/min-max/1
    """
    from keras_l2o import hub
    from keras_l2o import strategies

    run = strategies.RunDirectory(directory)
    run.config()  # raises an error if there is no run
    folders = run.optimizers()
    if not folders:
        raise ValueError(
            f"The run in {directory} has no finished period yet. Go on with "
            f"it: keras-l2o resume {directory}"
        )
    for replicate, folder in folders.items():
        target = str(pathlib.Path(output, replicate))
        hub.folder.copy(folder, target, overwrite)
        print(f"wrote {target}: keras_l2o.load({target!r})")


def _run(configuration, directory, metadata, tensorboard, interruption):
    from keras_l2o import config
    from keras_l2o_commands.period_progress import PeriodProgress
    from keras_l2o_commands.tensorboard import TensorBoard

    before = interruption.line()
    interruption.line = lambda: _saved(directory) or before
    with Progress("preparing", None) as progress:
        built = config.build(configuration, directory, metadata)
        strategy = built.strategy
        callbacks = [*built.callbacks, PeriodProgress(strategy, progress)]
        if tensorboard:
            folder = pathlib.Path(directory, "tensorboard")
            callbacks.append(TensorBoard(folder, strategy))
        built.trainer.fit(callbacks=callbacks, verbose=0)
    Console().print(_periods(strategy, directory))


def _saved(directory):
    """A line that says how much is saved and how to continue.

    It is empty if no period is finished.
    """
    from keras_l2o import strategies

    count = len(strategies.RunDirectory(directory).rows())
    what = "1 period is" if count == 1 else f"{count} periods are"
    line = f"{what} saved in {directory}. Go on with: {_resume(directory)}"
    return line if count else ""


def _resume(directory):
    return typed.line(["resume", directory])


def _periods(strategy, directory):
    table = Table(title=f"Periods of {directory}")
    for column in ("stage", "period", "attempt", "depth", "loss"):
        table.add_column(column, justify="right")
    table.add_column("validation", justify="right")
    table.add_column("")
    best = strategy.best(strategy.rows)
    for row in strategy.rows:
        note = "best" if row is best else "" if row.kept else "rolled back"
        table.add_row(
            *(str(number) for number in row.period[:4]),
            f"{row.figures['loss']:.4f}",
            f"{row.validation:.4f}",
            note,
        )
    return table
