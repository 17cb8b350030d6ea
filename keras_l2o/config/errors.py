"""The error of an invalid configuration."""

import difflib
from collections.abc import Iterable

from keras_l2o.errors import UserError


class ConfigurationError(UserError):
    """A configuration is invalid.

    It has an unknown name, a field is missing or given twice, or a value has
    the wrong type.

    Example:

    >>> keras_l2o.config.resolve(["adm"])
    Traceback (most recent call last):
        ...
    keras_l2o.config.errors.ConfigurationError: Unknown preset 'adm'. ...
    """


def nearest(name: object, known: Iterable[str], path: str = "") -> str:
    """A sentence that suggests known names in place of an unknown one.

    Args:
        name: The unknown name.
        known: List of strings, the known names.
        path: String. The path of the section, if the names are those of its
            fields. Defaults to `""`.

    Returns:
        String such as `" Did you mean 'adam'?"`, which begins with a space;
        empty if no known name is similar.

    Example:

    >>> from keras_l2o.config import errors
    >>> errors.nearest("adm", ["adam", "rmsprop"])
    " Did you mean 'adam'?"
    """
    near = difflib.get_close_matches(str(name), list(known), 2, 0.6)
    near = [f"{path}/{name}" if path else name for name in near]
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
