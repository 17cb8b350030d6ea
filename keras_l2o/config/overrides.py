"""`--a/b/c=value`: one field of a configuration, set from a command line."""

import json

from keras_l2o.config.errors import ConfigurationError


def parse_override(argument):
    """The path and the value of an argument such as `--strategy/depth=[1,2]`.

    The value is read as JSON; what is no JSON is a text. Nothing is evaluated.
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


def apply_override(nest, path, value):
    """Sets a field of a nest of dicts and lists, in place.

    Whether there is such a field is for the check of the whole to say.
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
