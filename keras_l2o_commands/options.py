"""Groups of options that several commands share.

Each group is a dataclass whose fields are the options; `declare.grouped` adds
them to a command.
"""

import contextlib
import dataclasses
import difflib
from typing import Annotated

import typer


@dataclasses.dataclass(frozen=True)
class Problems:
    """The problems that models are trained on."""

    problem: Annotated[
        str,
        typer.Option(help="Name of a problem, or several, comma-separated."),
    ]

    @property
    def names(self):
        """List of the problems' names."""
        return self.problem.split(",")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Options that make up the configuration of a run."""

    presets: Annotated[
        str, typer.Option(help="Names of presets, separated by commas.")
    ] = ""
    strategy: Annotated[
        str | None,
        typer.Option(
            help="Plan of the run: simple, repeat or curriculum. Default: "
            "that of the presets, or else curriculum."
        ),
    ] = None
    policy: Annotated[
        str | None,
        typer.Option(
            help="Name of the policy that is trained. Default: that of the "
            "presets, or else rnnprop."
        ),
    ] = None
    seed: Annotated[
        int, typer.Option(help="Seed of the first weights and of the data.")
    ] = 0

    def configuration(self, context):
        """Puts the configuration of the run together.

        Args:
            context: `typer.Context` of the command. Arguments that are none of
                the command's options are fields of the configuration.

        Returns:
            A `keras_l2o.config.Configuration`.

        Raises:
            keras_l2o.config.ConfigurationError: The configuration is invalid.
            ValueError: An argument is neither an option nor a field.
        """
        from keras_l2o import config

        return config.resolve(
            [name for name in self.presets.split(",") if name],
            self.policy,
            self.strategy,
            overrides(context),
            self.seed,
        )


@dataclasses.dataclass(frozen=True)
class Data:
    """Options for the data of an evaluation, and for replacing a stored one."""

    dataset: Annotated[
        str | None,
        typer.Option(
            help="Data set to use instead of the problem's, such as digits."
        ),
    ] = None
    examples: Annotated[
        int | None,
        typer.Option(
            help="Train on this many examples only, the first ones. Default: "
            "all."
        ),
    ] = None
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            "--batch_size",
            help="Examples in a batch. Default: that of the problem.",
        ),
    ] = None
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace a stored evaluation that has other settings. "
            "Without it such an evaluation is an error.",
        ),
    ] = False


@dataclasses.dataclass(frozen=True)
class Length:
    """Options for the number of runs and the length of each."""

    epochs: Annotated[
        int | None,
        typer.Option(help="Epochs of each run. Default: 25."),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(
            help="Steps of each run, instead of epochs. Default: 1000 for "
            "problems without data, which have no epochs."
        ),
    ] = None
    repeat: Annotated[int, typer.Option(min=1, help="Number of runs.")] = 10
    seed: Annotated[
        int,
        typer.Option(
            help="Seed of the first run. Each later run has the next integer."
        ),
    ] = 0


@dataclasses.dataclass(frozen=True)
class Where:
    """Options for the processes that do the work."""

    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes of this machine that do the work side by side. "
            "Default: this one does it all.",
        ),
    ] = None
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a scheduler of Dask, whose workers on any number "
            "of machines do the work, such as tcp://10.0.0.1:8786."
        ),
    ] = None

    def cluster(self):
        """Context of the `keras_l2o.cluster.Cluster`, or of `None`."""
        from keras_l2o.cluster import Cluster

        if self.workers is None and self.scheduler is None:
            return contextlib.nullcontext()
        return Cluster(self.workers, self.scheduler)


def overrides(context):
    """The fields of the configuration among a command's arguments.

    Args:
        context: `typer.Context` of the command.

    Returns:
        List of pairs of a path, such as `"strategy/depth"`, and a value, as
        `keras_l2o.config.resolve` takes in `overrides`.

    Raises:
        ValueError: An argument is neither an option of the command nor a field.
    """
    options = [
        name.removeprefix("--")
        for parameter in context.command.params
        for name in parameter.opts
    ]
    return [_override(argument, options) for argument in context.args]


def _override(argument, options):
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
