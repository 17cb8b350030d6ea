"""The command `presets`, which lists what a configuration consists of."""

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
    """Adds the command of this module to an application.

    Args:
        application: `typer.Typer`.
    """
    declare(application, presets, takes_fields=True)


def presets(
    context: typer.Context,
    names: str = typer.Argument(
        None, help="Names of presets, separated by commas."
    ),
    strategy: str = typer.Option(
        None, help="Plan of the run: simple, repeat or curriculum."
    ),
    policy: str = typer.Option(
        None, help="Name of the policy that is trained."
    ),
):
    """Lists all presets, or every field of a configuration with its value.

    Without names, it prints what each preset sets. With names, it prints the
    whole configuration that train makes of these presets, which it applies one
    after the other: a preset's teachers and problems are added to those before,
    and its other values replace those before. You can change any printed line
    and give it to train or tune, together with the same presets.

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
        caption="keras-l2o train --presets=NAME,NAME,... uses presets. "
        "keras-l2o presets NAME,NAME,... prints all resulting fields.",
        pad_edge=False,
    )
    for name, nest in presets.items():
        table.add_row(
            Text(name), Text("\n".join(fields(nest)), overflow="fold")
        )
    Console().print(table)


def fields(nest, path="", entries=False):
    """The fields of a configuration as arguments of the command `train`.

    Args:
        nest: Dict from fields to values, or list of such dicts. Values may be
            dicts or lists of fields in turn.
        path: String. The path of `nest` in the configuration. Defaults to
            `""`, the whole configuration.
        entries: Bool. Whether each field of a list's entries is an argument of
            its own, such as `--problems/0/name=digits_train`. `train` accepts
            such an argument only if the list has the entry already. Defaults
            to `False`: a list is one argument.

    Returns:
        List of strings such as `"--strategy/num_periods=5"`, quoted for a shell
        where necessary.
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
    """A text that is read as this value: the value itself, or its JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value, separators=(",", ":"))
