"""Replaces a folder by a new one, one process at a time.

The new folder is written as `new` in a scratch folder beside the old one, and
then takes the old one's place in one step. If the file system cannot exchange
two folders in one step, the old folder is first moved to `old` in the scratch
folder. If the process is killed at that moment, the next process that looks
for the folder puts it back.
"""

import os

from keras_l2o.files import whole
from keras_l2o.files.exchange import exchange
from keras_l2o.files.lock import Lock

#: Seconds that a save waits for another one to the same folder.
PATIENCE = 60


def write(folder, contents, check):
    """Writes a folder as a whole: a kill leaves the old one or the new one.

    Args:
        folder: Path.
        contents: Dict of bytes by name; every save has the same names.
        check: Function that raises an error if the folder must not be
            replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        _mend(folder, contents)
        check()
        scratch = whole.scratch(folder)
        old, new = scratch / "old", scratch / "new"
        scratch.mkdir()
        try:
            new.mkdir()
            for name, data in contents.items():
                with open(new / name, "xb") as file:
                    file.write(data)
                    whole.flush(file)
            if not folder.exists():
                new.replace(folder)
            elif not exchange(new, folder):
                folder.replace(old)
                new.replace(folder)
        finally:
            if old.exists() and not folder.exists():
                old.replace(folder)
            _discard(scratch, contents)


def mend(folder, names):
    """Puts a folder back that a killed save has moved, and deletes its scratch.

    Args:
        folder: Path.
        names: Names of the files that a save writes.
    """
    if _left(folder):
        with _alone(folder):
            _mend(folder, names)


def _alone(folder):
    return Lock(folder.parent, folder, folder.name, PATIENCE)


def _mend(folder, names):
    for scratch in _left(folder):
        old = scratch / "old"
        if old.is_dir() and not os.path.lexists(folder):
            old.replace(folder)
        _discard(scratch, names)


def _left(folder):
    found = whole.scratches(folder.parent, whole.exactly(folder.name))
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def _discard(scratch, names):
    """Deletes the files that a save writes, and no others."""
    for part in (scratch / "old", scratch / "new"):
        for name in names:
            try:
                (part / name).unlink()
            except OSError:
                pass
        _remove(part)
    _remove(scratch)


def _remove(folder):
    try:
        folder.rmdir()
    except OSError:  # not there, or not empty
        pass
