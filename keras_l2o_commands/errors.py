"""Which errors are for whoever typed a command, and which for who wrote it."""

import dis
import sys

_PACKAGES = ("keras_l2o", "keras_l2o_commands")
_RAISE = dis.opmap["RAISE_VARARGS"]


def is_ours(error):
    """Whether an error's message says to a user what to do.

    That is a `keras_l2o.errors.UserError`, and any ValueError or ImportError
    that a `raise` statement of this package made: an argument that is not as
    it must be, a version of Keras that is not known.

    Args:
        error: Exception that was caught.
    """
    module = sys.modules.get("keras_l2o.errors")
    if module is not None and isinstance(error, module.UserError):
        return True
    return isinstance(error, (ImportError, ValueError)) and _raised(error)


def _raised(error):
    """Whether the error comes from a `raise` in a module of these packages.

    A function written in C leaves no frame: the last one is then ours, too,
    where it called NumPy or `float`, and only what it was at tells the two
    apart.
    """
    last = error.__traceback__
    if last is None:
        return False
    while last.tb_next is not None:
        last = last.tb_next
    package = last.tb_frame.f_globals.get("__name__", "").partition(".")[0]
    instruction = last.tb_frame.f_code.co_code[last.tb_lasti]
    return package in _PACKAGES and instruction == _RAISE
