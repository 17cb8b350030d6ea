import difflib

from keras_l2o.errors import UserError


class ConfigurationError(UserError):
    """A configuration that names what there is not, or is of a wrong type."""


def nearest(name, known, path=""):
    """A sentence with the known names that are nearest, or nothing.

    The names may be those of the fields at a path.
    """
    near = difflib.get_close_matches(str(name), list(known), 2, 0.6)
    near = [f"{path}/{name}" if path else name for name in near]
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
