"""Locks on folders, which the operating system frees when a process ends."""

import contextlib
import datetime
import os
import pathlib
import socket

from keras_l2o.errors import UserError
from keras_l2o.typing import Path

NAME = ".keras_l2o-lock"


class Locked(UserError):
    """A folder that another process, or another part of this one, has locked.

    Example:

    >>> from keras_l2o.files import lock
    >>> with lock.Lock("."):
    ...     try:
    ...         lock.Lock(".")
    ...     except lock.Locked as error:
    ...         print(error)
    . is in use by process ...
    """


class Lock:
    """A lock that nobody else can take, from construction until `release`.

    It is a lock of the operating system on a file in the folder, which says
    who holds it. `release` deletes the file. A process that is killed leaves
    the file, but no lock: the next one can take it.

    Args:
        folder: Path of the folder in which the lock's file is made.
        what: Path, what the error says is in use. Defaults to `None`, the
            folder.
        name: String, which tells several locks in one folder apart. Defaults
            to `""`.
        seconds: Float. How long to wait, in seconds, if another holds the
            lock. Defaults to `0`.

    Raises:
        Locked: Another process, or another part of this one, holds the lock.
        OSError: The file cannot be made.

    Example:

    >>> import os
    >>> with keras_l2o.files.lock.Lock("."):
    ...     print(os.listdir())
    ['.keras_l2o-lock']
    >>> os.listdir()
    []
    """

    def __init__(
        self,
        folder: Path,
        what: Path | None = None,
        name: str = "",
        seconds: float = 0,
    ) -> None:
        import filelock  # importing it takes longer than most commands do

        self.path = pathlib.Path(folder, f"{NAME}-{name}" if name else NAME)
        self._lock = filelock.FileLock(self.path, thread_local=False)
        try:
            self._lock.acquire(timeout=seconds, poll_interval=0.02)
        except filelock.Timeout:
            raise Locked(
                f"{what or folder} is in use by {self._holder()}. Wait until "
                "that has ended, or end it, and try again; or take another "
                "directory."
            ) from None
        with contextlib.suppress(OSError):  # Windows writes no locked files
            self.path.write_text(_who(), "utf-8")

    def release(self) -> None:
        """Frees the lock, for others to take. Releasing twice does nothing."""
        if self._lock.is_locked:
            # The file is deleted while the lock is held; afterwards it might
            # be another's. Whoever has already opened it notices that it is
            # gone, and makes a new one.
            with contextlib.suppress(OSError):
                self.path.unlink()
            self._lock.release()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()

    def _holder(self):
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                text = file.read(300)
        except OSError:
            text = ""
        return " ".join(text.split()) or "another process"


def _who():
    now = datetime.datetime.now().astimezone()
    return (
        f"process {os.getpid()} on {socket.gethostname()}, "
        f"since {now:%Y-%m-%d %H:%M:%S %z}\n"
    )
