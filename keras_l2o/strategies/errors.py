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
    """A run that cannot be made, gone on with or read, and what helps."""


@contextlib.contextmanager
def named(path, action):
    """Turns what the system says of a file into a line that names it.

    Args:
        path: Path that the error names.
        action: String, such as `"written"`.
    """
    try:
        yield
    except OSError as error:
        # HDF5 puts its own long story where the system's words belong.
        reason = os.strerror(error.errno) if error.errno else str(error)
        way_out = _WAYS_OUT.get(error.errno, "Mend that, then try again.")
        raise RunError(
            f"{path} cannot be {action}: {reason}. {way_out}"
        ) from error
