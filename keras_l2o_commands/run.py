"""Commands that make a run, take it up again, and package what comes out."""

import difflib
import pathlib
import shlex

import typer
from rich.console import Console
from rich.table import Table

from keras_l2o_commands.declare import declare


def register(application):
    """Adds the commands to a typer application."""
    declare(application, train, takes_fields=True)
    declare(application, resume)
    declare(application, package)


def train(
    context: typer.Context,
    directory: str = typer.Option(help="Folder of the run."),
    presets: str = typer.Option("", help="Names of presets, with commas."),
    strategy: str = typer.Option(
        None, help="simple, repeat or curriculum, the default."
    ),
    policy: str = typer.Option(
        None, help="Name of the policy to be trained. Default: rnnprop."
    ),
    seed: int = typer.Option(0, help="Of weights and data."),
):
    """Trains a policy. The same command goes on with a run that was stopped.

    Any field of the configuration, which the run leaves in config.json, can
    be set by --path/to/field=value, with a value in JSON or a text.

    Example: keras-l2o train --presets=conv_train,adam,rmsprop,il_more
    --strategy=curriculum --policy=rnnprop
    --directory=results/rnnprop/min-max/1 --problems/0/dataset=digits
    """
    from keras_l2o import config

    options = [parameter.name for parameter in context.command.params]
    configuration = config.resolve(
        [name for name in presets.split(",") if name],
        policy,
        strategy,
        [override(argument, options) for argument in context.args],
        seed,
    )
    given = {"presets": presets, "strategy": strategy, "policy": policy}
    given |= {"directory": directory, "seed": seed}
    flags = [f"--{key}={value}" for key, value in given.items() if value]
    command = shlex.join(["keras-l2o", "train", *flags, *context.args])
    _run(configuration, directory, {"command": command})


def resume(directory: str = typer.Argument(help="Folder of the run.")):
    """Goes on with a run that was stopped, from its last finished period.

    Example: keras-l2o resume results/rnnprop/min-max/1
    """
    from keras_l2o import config
    from keras_l2o import strategies

    stored = strategies.RunDirectory(directory).config()
    configuration = config.check(stored["run"])
    _run(configuration, directory, stored["metadata"])


def package(
    directory: str = typer.Argument(help="Folder of the run."),
    output: str = typer.Argument(
        help="Folder to write, such as pre-trained/min-max/1; of a run of "
        "several replicates pre-trained/min-max, with a folder for each."
    ),
    overwrite: bool = typer.Option(
        False, help="Whether an optimizer in the folder is replaced."
    ),
):
    """Writes a run's best optimizer, as it is now, to a folder of its own.

    Example: keras-l2o package results/rnnprop/min-max/1 pre-trained/min-max/1
    """
    from keras_l2o import hub
    from keras_l2o import strategies
    from keras_l2o.hub.folder import read_metadata

    run = strategies.RunDirectory(directory)
    run.config()  # an error if it is no run
    folders = run.optimizers()
    if not folders:
        raise ValueError(
            f"The run in {directory} has no finished period yet. Go on with "
            f"it: keras-l2o resume {directory}"
        )
    for replicate, folder in folders.items():
        target = str(pathlib.Path(output, replicate))
        hub.save(hub.load(folder), target, read_metadata(folder), overwrite)
        print(f"wrote {target}: keras_l2o.load({target!r})")


def override(argument, options):
    """The path and value of an argument that is none of a command's options.

    Args:
        argument: String.
        options: List of strings, the command's options.
    """
    from keras_l2o import config

    name = argument.partition("=")[0].removeprefix("--")
    if "/" in name or name in config.Configuration.model_fields:
        return config.parse_override(argument)
    near = difflib.get_close_matches(name, options, 1)
    raise ValueError(
        f"Unknown option {argument}."
        + (f" Did you mean --{near[0]}?" if near else "")
        + " A field of the configuration is set by --path/to/field=value."
    )


def _run(configuration, directory, metadata):
    from keras_l2o import config

    built = config.build(configuration, directory, metadata)
    built.trainer.fit(callbacks=built.callbacks)
    Console().print(_periods(built.strategy, directory))


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
