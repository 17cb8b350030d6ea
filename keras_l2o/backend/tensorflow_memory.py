"""What the allocator of the C library does while a graph runs on a processor.

TensorFlow asks it for each tensor anew. glibc maps large blocks one by one and
gives them back at once, and the kernel then fills each with zeros again, page
by page: in unrolls of a hundred steps a third of the processor's time.
"""

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Iterator

import tensorflow as tf

# Of <malloc.h>: each parameter, its value for a run, and glibc's own.
_TRIM_THRESHOLD = (-1, 1 << 30, 128 << 10)
_TOP_PAD = (-2, 64 << 20, 0)
_MMAP_MAX = (-4, 0, 1 << 16)
_PARAMETERS = (_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX)

_lock = threading.Lock()
_scopes = 0


@contextlib.contextmanager
def memory_scope() -> Iterator[None]:
    """Context in which freed memory stays with this process.

    At most 1 GB of what is free at the end of the heap does; all of it goes
    back when the last context ends. Nothing is done without glibc, with a GPU,
    or where the environment says how to allocate (`GLIBC_TUNABLES`,
    `MALLOC_MMAP_THRESHOLD_` and others of glibc's).
    """
    global _scopes
    library = None if _told() else _glibc()
    if library is None:
        yield
        return
    with _lock:
        _scopes += 1
        if _scopes == 1:
            for parameter, value, _ in _PARAMETERS:
                library.mallopt(parameter, value)
    try:
        yield
    finally:
        with _lock:
            _scopes -= 1
            if _scopes == 0:
                for parameter, _, value in _PARAMETERS:
                    library.mallopt(parameter, value)
                library.malloc_trim(0)


def _told():
    """Whether the user has chosen, or an accelerator has its own memory."""
    return (
        any(name.startswith("MALLOC_") for name in os.environ)
        or "GLIBC_TUNABLES" in os.environ
        or bool(tf.config.list_physical_devices("GPU"))
    )


def _glibc():
    """The C library, if it is glibc."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
