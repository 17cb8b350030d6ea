"""`--a/b/c=value`: one field of a configuration, set from a command line."""

import json
from typing import Any

from keras_l2o.config.errors import ConfigurationError


def parse_override(argument: str) -> tuple[str, Any]:
    """The path and the value of an argument such as `--strategy/depth=[1,2]`.

    The value is read as JSON. If it is not JSON it is taken as a text; it is
    never evaluated.

    Args:
        argument: String, an argument of a command line.

    Returns:
        A pair of a path and a value, as `resolve` takes in `overrides`.

    Raises:
        ConfigurationError: The argument is not of this form.

    Example:

    >>> keras_l2o.config.parse_override("--strategy/depth=[1,2]")
    ('strategy/depth', [1, 2])
    >>> keras_l2o.config.parse_override("--problems/0/dataset=digits")
    ('problems/0/dataset', 'digits')
    """
    path, equals, text = argument.removeprefix("--").partition("=")
    if not (argument.startswith("--") and path and equals):
        raise ConfigurationError(
            "An override must be of the form --path/to/field=value. Received: "
            f"{argument}"
        )
    try:
        return path, json.loads(text)
    except ValueError:
        return path, text


def apply_override(nest: Any, path: str, value: Any) -> None:
    """Sets a field of a nest of dicts and lists, in place.

    It does not check that there is such a field: `check` does, afterwards.

    Args:
        nest: Dict of fields.
        path: String, such as `"strategy/depth"`.
        value: The field's new value.

    Raises:
        ConfigurationError: The path leads through a value that has no fields,
            or to an entry that a list does not have.
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
    if not part.isdecimal() or int(part) >= len(entries):
        have = f"0 to {len(entries) - 1}" if entries else "none at all"
        raise ConfigurationError(
            f"Field {path} does not exist: there the entries are {have}."
        )
    return int(part)
