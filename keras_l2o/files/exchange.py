import ctypes
import os

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def exchange(one, other):
    """Swaps the names of two paths, in one step that no kill can divide.

    Args:
        one, other: Paths in one file system; both exist.

    Returns:
        Whether it was done. Only Linux can, and not in every file system.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    paths = os.fsencode(one), os.fsencode(other)
    return not rename(
        _AT_FDCWD,
        paths[0],
        _AT_FDCWD,
        paths[1],
        ctypes.c_uint(_RENAME_EXCHANGE),
    )
