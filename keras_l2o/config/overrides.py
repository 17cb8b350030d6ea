"""Overrides: fields of a configuration that a command line sets.

An override has the form `--path/to/field=value`.
"""

import json
from typing import Any

from keras_l2o.config.errors import ConfigurationError


def parse_override(argument: str) -> tuple[str, Any]:
    """Parses an argument such as `--strategy/depth=[1,2]`.

    The value is read as JSON and, if it is not valid JSON, as a plain text. It
    is never evaluated as Python.

    Args:
        argument: String, an argument of a command line.

    Returns:
        A pair of a path and a value, as `resolve` takes in `overrides`.

    Raises:
        ConfigurationError: The argument does not have this form.

    Example:

    >>> keras_l2o.config.parse_override("--strategy/depth=[1,2]")
    ('strategy/depth', [1, 2])
    >>> keras_l2o.config.parse_override("--problems/0/dataset=digits")
    ('problems/0/dataset', 'digits')
    """
    path, equals, text = argument.removeprefix("--").partition("=")
    if not (argument.startswith("--") and path and equals):
        raise ConfigurationError(
            "An override must have the form --path/to/field=value. Received: "
            f"{argument}"
        )
    try:
        return path, json.loads(text)
    except ValueError:
        return path, text


def apply_override(nest: Any, path: str, value: Any) -> None:
    """Sets a field of a nest of dicts and lists, in place.

    The field is added if it is missing. `check` finds out later whether a
    configuration has such a field.

    Args:
        nest: Dict of fields.
        path: String, such as `"strategy/depth"`. The number of an entry, from
            0, stands for the entry of a list.
        value: The field's new value.

    Raises:
        ConfigurationError: A part of the path before the last is a value
            without fields, or a list does not have the entry.

    Example:

    >>> from keras_l2o.config import overrides
    >>> nest = {"strategy": {}}
    >>> overrides.apply_override(nest, "strategy/depth", 5)
    >>> nest
    {'strategy': {'depth': 5}}
    """
    *parents, last = path.split("/")
    for depth, part in enumerate(parents):
        here = "/".join(parents[: depth + 1])
        if isinstance(nest, dict):
            if nest.get(part) is None:
                nest[part] = {}
            nest = nest[part]
        else:
            nest = nest[_index(nest, part, here)]
        if not isinstance(nest, (dict, list)):
            raise ConfigurationError(
                f"Field {here} has no fields of its own: it is {nest!r}. "
                f"Received: --{path}"
            )
    if isinstance(nest, list):
        last = _index(nest, last, path)
    nest[last] = value


def _index(entries, part, path):
    """The index of a list's entry that a part of a path names."""
    if not part.isdecimal() or int(part) >= len(entries):
        have = f"entries 0 to {len(entries) - 1}" if entries else "no entries"
        raise ConfigurationError(
            f"Field {path} does not exist: the list has {have}."
        )
    return int(part)
