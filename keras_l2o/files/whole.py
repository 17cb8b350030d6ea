"""Files that are there whole or as they were, and the scratch on the way."""

import os
import pathlib
import re
import secrets

_SCRATCH = re.compile(r"\.keras_l2o-[0-9]+-[0-9a-f]{8}-(.+)")


def scratch(path):
    """A name beside a path that is this process's alone.

    It begins with a dot and ends as the path does: there are writers that go
    by a file's ending.
    """
    path = pathlib.Path(path)
    own = f"{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f".keras_l2o-{own}-{path.name}")


def scratches(folder, pattern):
    """What is left of writing a folder's files, when a kill came between.

    Whoever deletes it must know that no other process is at it.

    Args:
        folder: Path.
        pattern: Regular expression of all of a file's own name.

    Returns:
        List of paths.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        return []
    found = [(path, _SCRATCH.fullmatch(path.name)) for path in folder.iterdir()]
    return [
        path
        for path, match in found
        if match and re.fullmatch(pattern, match[1])
    ]


def exactly(name):
    """The pattern of one name."""
    return re.escape(name)


def sweep(folder, pattern):
    """Deletes the scratch of a folder's files; takes what `scratches` does."""
    for path in scratches(folder, pattern):
        if path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def write(path, data):
    """Writes bytes to a file that is there whole or as it was.

    The file's folder is made if it does not exist.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = scratch(path)
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            flush(file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def flush(file):
    """Brings a file to the disk, so that its new name never precedes it."""
    file.flush()
    os.fsync(file.fileno())
