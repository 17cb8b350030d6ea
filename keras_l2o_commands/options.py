"""Options that several commands have, in groups that belong together.

Each group is a dataclass whose fields are options: see `declare.grouped`.
"""

import dataclasses
import difflib
from typing import Annotated

import typer


@dataclasses.dataclass(frozen=True)
class Problems:
    """What models are trained on."""

    problem: Annotated[
        str, typer.Option(help="Name of a problem, or several with commas.")
    ]

    @property
    def names(self):
        """List of the problems' names."""
        return self.problem.split(",")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is trained, and how: the configuration of a run."""

    presets: Annotated[
        str, typer.Option(help="Names of presets, with commas.")
    ] = ""
    strategy: Annotated[
        str | None,
        typer.Option(help="simple, repeat or curriculum, the default."),
    ] = None
    policy: Annotated[
        str | None,
        typer.Option(
            help="Name of the policy to be trained. Default: rnnprop."
        ),
    ] = None
    seed: Annotated[int, typer.Option(help="Of weights and data.")] = 0

    def configuration(self, context):
        """The `keras_l2o.config.Configuration`.

        Args:
            context: `typer.Context` of the command, whose arguments that no
                option took are fields of the configuration.
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
    """What models are trained on, and whether over what is stored."""

    dataset: Annotated[
        str | None, typer.Option(help="Another data set, such as digits.")
    ] = None
    examples: Annotated[
        int | None,
        typer.Option(help="Train on the first of the examples only."),
    ] = None
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size", "--batch_size", help="Default: the problem's."
        ),
    ] = None
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace an evaluation with other settings."
        ),
    ] = False


@dataclasses.dataclass(frozen=True)
class Length:
    """How long a model is trained, and how often."""

    epochs: Annotated[
        int | None, typer.Option(help="Default: 25 for classifiers.")
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(help="Instead of epochs. Default: 1000, functions."),
    ] = None
    repeat: Annotated[int, typer.Option(min=1, help="Number of runs.")] = 10
    seed: Annotated[
        int,
        typer.Option(help="Seed of the first run; the next has the next."),
    ] = 0


def overrides(context):
    """Pairs of a path and a value: the arguments that no option took.

    Args:
        context: `typer.Context` of the command.
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
