"""Tells errors that a user can act on from bugs in this package."""

import dis
import sys

_PACKAGES = ("keras_l2o", "keras_l2o_commands")
_RAISE = dis.opmap["RAISE_VARARGS"]
#: What the code of a frame names that `tblib` made.
_FROM_WORKER = "__traceback_maker"


def is_ours(error):
    """Whether the message of an error tells a user what to do.

    It does if the error is a `keras_l2o.errors.UserError`, or a `ValueError` or
    `ImportError` from a `raise` statement of this package, such as for an
    invalid argument or for a version of Keras that is not supported. An error
    that another library raised does not count, even if this package called it.

    Args:
        error: Exception that was caught, with its traceback.

    Returns:
        Bool.
    """
    module = sys.modules.get("keras_l2o.errors")
    if module is not None and isinstance(error, module.UserError):
        return True
    return isinstance(error, (ImportError, ValueError)) and _raised(error)


def _raised(error):
    """Whether a `raise` statement in one of `_PACKAGES` raised the error.

    The module of the traceback's last frame does not suffice: functions written
    in C, such as `float` or those of NumPy, have no frame, so that the last
    frame is the caller's. Hence the bytecode instruction at which that frame
    stopped must be that of a `raise` statement. The traceback of a worker's
    error comes from another process by `tblib`, and has no instructions: there
    the module has to suffice.
    """
    last = error.__traceback__
    if last is None:
        return False
    while last.tb_next is not None:
        last = last.tb_next
    package = last.tb_frame.f_globals.get("__name__", "").partition(".")[0]
    code = last.tb_frame.f_code
    raising = code.co_code[last.tb_lasti] == _RAISE
    return package in _PACKAGES and (raising or _FROM_WORKER in code.co_names)
