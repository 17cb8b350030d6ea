"""Files that are written as a whole, or not at all.

What is being written lies under a temporary name, its scratch, until it takes
the place of the old file in one step. A process that is killed on the way
leaves the old file as it was, and the scratch, which `sweep` deletes.
"""

import os
import pathlib
import re
import secrets
from typing import IO

from keras_l2o.typing import Path

_SCRATCH = re.compile(r"\.keras_l2o-[0-9]+-[0-9a-f]{8}-(.+)")


def scratch(path: Path) -> pathlib.Path:
    """A temporary name beside a path, which no other process uses.

    It begins with a dot, and it ends as the path does, because some libraries
    choose a file's format by the ending of its name.

    Args:
        path: Path of the file that is going to be written.

    Returns:
        `pathlib.Path` of a file that does not exist yet, in the same folder.

    Example:

    >>> keras_l2o.files.whole.scratch("results/curves.png").name
    '.keras_l2o-...-curves.png'
    """
    path = pathlib.Path(path)
    own = f"{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f".keras_l2o-{own}-{path.name}")


def scratches(folder: Path, pattern: str) -> list[pathlib.Path]:
    """The scratch that killed processes have left in a folder.

    Another process may be writing right now, and this is then its scratch.
    Hold a lock before you delete any.

    Args:
        folder: Path; it need not exist.
        pattern: Regular expression that the whole name of the file which was
            being written has to match.

    Returns:
        List of paths.

    Example:

    >>> left = keras_l2o.files.whole.scratch("curves.png")
    >>> left.touch()
    >>> keras_l2o.files.whole.scratches(".", ".*png") == [left]
    True
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


def exactly(name: str) -> str:
    """A pattern for `scratches` that one name alone matches.

    Args:
        name: String, a file's name.

    Returns:
        String, a regular expression.

    Example:

    >>> import re
    >>> pattern = keras_l2o.files.whole.exactly("a.png")
    >>> bool(re.fullmatch(pattern, "a.png")), re.fullmatch(pattern, "a_png")
    (True, None)
    """
    return re.escape(name)


def sweep(folder: Path, pattern: str) -> None:
    """Deletes the files that `scratches` finds.

    Args:
        folder: Path; it need not exist.
        pattern: Regular expression, see `scratches`.

    Example:

    >>> keras_l2o.files.whole.scratch("curves.png").touch()
    >>> keras_l2o.files.whole.sweep(".", ".*")
    >>> keras_l2o.files.whole.scratches(".", ".*")
    []
    """
    for path in scratches(folder, pattern):
        if path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def write(path: Path, data: bytes) -> None:
    """Writes a file as a whole: a kill leaves the old one or the new one.

    Args:
        path: Path of the file. Its folder is made if it does not exist.
        data: Bytes, all that the file will hold.

    Raises:
        OSError: The file could not be written. It is as it was.

    Example:

    >>> keras_l2o.files.whole.write("figures/loss.txt", b"0.25")
    >>> import pathlib
    >>> pathlib.Path("figures/loss.txt").read_bytes()
    b'0.25'
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


def flush(file: IO[bytes]) -> None:
    """Waits until what was written to a file is on the disk.

    Renaming the file before that could leave an empty one under the new name
    if the machine loses power.

    Args:
        file: A file that is open for writing.

    Example:

    >>> with open("loss.txt", "wb") as file:
    ...     _ = file.write(b"0.25")
    ...     keras_l2o.files.whole.flush(file)
    """
    file.flush()
    os.fsync(file.fileno())
