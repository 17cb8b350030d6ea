"""Two paths swapped in one step of the operating system."""

import ctypes
import os

from keras_l2o.typing import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def exchange(one: Path, other: Path) -> bool:
    """Swaps two files or folders, in one step that a kill cannot interrupt.

    Args:
        one: Path of a file or folder that exists.
        other: Path of another one in the same file system.

    Returns:
        Whether they were swapped. This needs Linux and a file system that
        supports it, so callers need another way for when it returns `False`.

    Example:

    >>> import pathlib
    >>> _ = pathlib.Path("a").write_text("of a")
    >>> _ = pathlib.Path("b").write_text("of b")
    >>> swapped = keras_l2o.files.exchange.exchange("a", "b")
    >>> pathlib.Path("a").read_text() == ("of b" if swapped else "of a")
    True
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
