"""What the workers of the tests are asked to do."""

import os
import pathlib
import signal
import time


def double(number):
    return 2 * number


def fail(number):
    raise ValueError(f"no {number} here")


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def slowly(folder, number, seconds):
    """Notes who begins a piece and who ends it."""
    folder = pathlib.Path(folder)
    (folder / f"{number}-begun-{os.getpid()}").touch()
    time.sleep(seconds)
    (folder / f"{number}-ended-{os.getpid()}").touch()
    return number
