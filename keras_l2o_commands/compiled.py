"""Where JAX keeps what it has compiled, from one command to the next."""

import contextlib
import hashlib
import os
import pathlib
import platform
import re

import filelock
import platformdirs

#: Above this, in bytes, what was not used for longest goes first.
LARGEST = 1_000_000_000


def keep(environment=os.environ):
    """Tells JAX, by its own variables, to keep its programs between commands.

    They are kept in the user's folder for caches. Whoever has set
    `JAX_COMPILATION_CACHE_DIR` has decided, and nothing is changed; nor is it
    where the folder cannot be written to. What was kept is found if the
    program, JAX, the options of the compiler and the processor are the same.

    Args:
        environment: Dict of variables, which processes that are started take
            over. JAX reads them when it is imported.
    """
    if "JAX_COMPILATION_CACHE_DIR" in environment:
        return
    folder = platformdirs.user_cache_path("keras_l2o") / "compiled" / machine()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mend(folder)
    except (OSError, filelock.Timeout):
        return
    environment["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    environment.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(LARGEST))
    # The many small programs of a start, too.
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def machine():
    """Short name of processors that run each other's programs.

    Machines that share a home need not have the same instructions.
    """
    found = [platform.system(), platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        text = pathlib.Path("/proc/cpuinfo").read_text()
        found += re.findall(r"^(?:flags|Features)\s*:.*$", text, re.M)[:1]
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


def mend(folder):
    """Removes what a process that was killed has written half.

    JAX writes a program, and then the time of its last use. One that has no
    such time would be found damaged at each use, and never be replaced.

    Args:
        folder: `pathlib.Path`.
    """
    with filelock.FileLock(folder / ".lockfile", timeout=1.0):
        for program in folder.glob("*-cache"):
            used = program.with_name(
                program.name.removesuffix("-cache") + "-atime"
            )
            if not used.is_file() or used.stat().st_size != 8:
                program.unlink()
                used.unlink(missing_ok=True)
