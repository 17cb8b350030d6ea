"""The command that says what can be configured."""

import json
import shlex

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keras_l2o_commands.declare import declare
from keras_l2o_commands.options import Recipe
from keras_l2o_commands.options import overrides
from keras_l2o_commands.tables import print_line


def register(application):
    """Adds the command to a `typer.Typer`."""
    declare(application, presets, takes_fields=True)


def presets(
    context: typer.Context,
    names: str = typer.Argument(None, help="Names of presets, with commas."),
    strategy: str = typer.Option(None, help="As in train."),
    policy: str = typer.Option(None, help="As in train."),
):
    """Lists all presets, or every field of a configuration with its value.

    Without names, what each preset sets. With names, the whole configuration
    that train makes of these presets, laid over each other in this order: a
    preset's teachers and problems are added to what there is, its other values
    take the place of it. Each line can be changed and, beside the same
    presets, handed to train or tune.

    Example: keras-l2o presets conv_train,adam,rmsprop,il_more
    --strategy=repeat
    """
    from keras_l2o import config

    given = overrides(context)
    if names is None and strategy is None and policy is None and not given:
        _print_all(config.PRESETS)
        return
    configuration = Recipe(names or "", strategy, policy).configuration(context)
    for line in fields(configuration.model_dump(mode="json"), entries=True):
        print_line(line)


def _print_all(presets):
    table = Table(
        "preset",
        "what it sets",
        box=box.SIMPLE_HEAVY,
        caption="keras-l2o train --presets=NAME,NAME,... takes them. "
        "keras-l2o presets NAME,NAME,... shows all fields.",
        pad_edge=False,
    )
    for name, nest in presets.items():
        table.add_row(
            Text(name), Text("\n".join(fields(nest)), overflow="fold")
        )
    Console().print(table)


def fields(nest, path="", entries=False):
    """The fields of a configuration, as train takes them in a shell.

    Args:
        nest: Dict of fields, or list of such, that may hold fields in turn.
        path: String. Where it is in the configuration.
        entries: Bool. Whether entries of lists are fields, too, which they
            are for train once there is a list.

    Returns:
        List of strings such as `"--strategy/num_periods=5"`.
    """
    lines = []
    pairs = nest.items() if isinstance(nest, dict) else enumerate(nest)
    for key, value in pairs:
        here = f"{path}/{key}" if path else str(key)
        if value and (
            isinstance(value, dict)
            or (entries and isinstance(value, list) and _holds_fields(value))
        ):
            lines += fields(value, here, entries)
        else:
            lines.append(shlex.quote(f"--{here}={_text(value)}"))
    return lines


def _holds_fields(entries):
    return all(isinstance(entry, dict) for entry in entries)


def _text(value):
    """What is read as this value again: a text as it is, or JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value, separators=(",", ":"))
