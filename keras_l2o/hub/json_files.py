"""The JSON in an optimizer's folder, which may come from anybody."""

import json

from keras_l2o.hub.errors import FormatError
from keras_l2o.hub.errors import HubError

#: How many levels of lists and objects a file may have.
DEEPEST = 50


def dump(value):
    """A value as the bytes of a JSON file."""
    try:
        return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise HubError(f"JSON cannot hold this: {error}") from error


def parse(data, name):
    """The object in a file of JSON, a dict."""
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{name} must hold an object.")
    _check_depth(value, name)
    return value


def _check_depth(value, name, left=DEEPEST):
    """Refuses values so deep that recursive functions would fail on them."""
    if not left:
        raise FormatError(f"{name} is nested deeper than {DEEPEST} levels.")
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _check_depth(item, name, left - 1)
