import contextlib
import errno
import os

from keras_l2o.errors import UserError

_WAYS_OUT = {
    errno.ENOSPC: "Make room, then run the same command again: it goes on "
    "from the last finished period.",
    errno.EACCES: "Allow it, or take another directory.",
    errno.ENOTDIR: "Take another directory.",
}
_WAYS_OUT |= {
    errno.EDQUOT: _WAYS_OUT[errno.ENOSPC],
    errno.EFBIG: _WAYS_OUT[errno.ENOSPC],
    errno.EPERM: _WAYS_OUT[errno.EACCES],
    errno.EROFS: _WAYS_OUT[errno.EACCES],
    errno.EEXIST: _WAYS_OUT[errno.ENOTDIR],
    errno.EISDIR: _WAYS_OUT[errno.ENOTDIR],
    errno.ENAMETOOLONG: _WAYS_OUT[errno.ENOTDIR],
}


class RunError(UserError):
    """A run cannot be started, continued or read; the message says what to do.

    Example:

    >>> try:
    ...     keras_l2o.strategies.RunDirectory("results/none").config()
    ... except keras_l2o.strategies.RunError as error:
    ...     print(error)
    results/none/config.json is missing: ...
    """


@contextlib.contextmanager
def named(path, action):
    """Turns an `OSError` about a file into a `RunError` that names the file.

    Args:
        path: Path that the error names.
        action: String, what was to be done with the file, such as `"written"`.

    Raises:
        RunError: An `OSError` was raised within the context.
    """
    try:
        yield
    except OSError as error:
        # HDF5 replaces the system's words by a long story of its own.
        reason = os.strerror(error.errno) if error.errno else str(error)
        way_out = _WAYS_OUT.get(error.errno, "Mend that, then try again.")
        raise RunError(
            f"{path} cannot be {action}: {reason}. {way_out}"
        ) from error
