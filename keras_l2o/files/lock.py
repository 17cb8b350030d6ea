"""Locks of the operating system: a killed process leaves none behind."""

import contextlib
import datetime
import os
import pathlib
import socket

from keras_l2o.errors import UserError

NAME = ".keras_l2o-lock"


class Locked(UserError):
    """Something that another process is at."""


class Lock:
    """Keeps all others out, from its construction until `release`.

    The lock is the system's, on a file that says who holds it. The file is
    deleted at the end; one that a killed process has left locks nothing.

    Args:
        folder: Path of the folder that the lock's file is made in.
        what: Path that the error names. Defaults to the folder.
        name: String. Of several locks in a folder, which. Defaults to `""`.
        seconds: Float. How long to wait for another to release it. Defaults
            to `0`.

    Raises:
        Locked: Another process, or another part of this one, holds it.
        OSError: The file cannot be made.
    """

    def __init__(self, folder, what=None, name="", seconds=0):
        import filelock  # takes longer to import than most commands need

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
        with contextlib.suppress(OSError):  # where locked files are not written
            self.path.write_text(_who(), "utf-8")

    def release(self):
        """Lets others in. Releasing twice does nothing."""
        if self._lock.is_locked:
            # While it is held, or it might be another's; those who have
            # opened it see that it has gone, and make a new one.
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
