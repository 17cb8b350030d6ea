"""The error of a configuration that is not valid."""

import difflib
from collections.abc import Iterable

from keras_l2o.errors import UserError


class ConfigurationError(UserError):
    """A configuration is not valid.

    A name in it is unknown, a field is missing or given twice, or a value is
    of a wrong type.

    Example:

    >>> keras_l2o.config.resolve(["adm"])
    Traceback (most recent call last):
        ...
    keras_l2o.config.errors.ConfigurationError: Unknown preset 'adm'. ...
    """


def nearest(name: object, known: Iterable[str], path: str = "") -> str:
    """A sentence with the known names that are nearest, or nothing.

    Args:
        name: The unknown name.
        known: The known names.
        path: String. If the names are those of fields, the path of the section
            that has these. Defaults to `""`.

    Returns:
        String such as `" Did you mean 'adam'?"`, with a blank before it; empty
        if no name is near.
    """
    near = difflib.get_close_matches(str(name), list(known), 2, 0.6)
    near = [f"{path}/{name}" if path else name for name in near]
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
