"""How commands end when Ctrl-C or SIGTERM interrupts them."""

import atexit
import contextlib
import functools
import os
import signal
import sys

import typer
from rich.console import Console
from rich.text import Text

from keras_l2o_commands import typed

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class Interruption:
    """What a command prints if a signal interrupts it.

    Args:
        line: String. What to print as long as the command sets no other line.

    Attributes:
        line: Function without arguments that returns a string: what is saved
            and how to continue. A command replaces it once it has saved
            something.
        number: The `signal.Signals` that has arrived, or `None`.
    """

    def __init__(self, line):
        self.line, self.number = lambda: line, None

    def interrupt(self, number, frame):
        """Handles a signal: keeps its number and raises `KeyboardInterrupt`.

        Args:
            number: Int. The signal's number.
            frame: The frame that was interrupted; not used.
        """
        self.number = signal.Signals(number)
        raise KeyboardInterrupt

    def report(self, hook, lost):
        """Reports an exception that was ignored, but for that of the signal.

        Args:
            hook: What reports the others.
            lost: As for `sys.unraisablehook`.
        """
        ours = issubclass(lost.exc_type, KeyboardInterrupt)
        if not (ours and self.number is not None):
            hook(lost)


#: The `Interruption`s of the `interruptible` blocks that are running, the
#: innermost last.
_AWAITED = []


def check():
    """Raises `KeyboardInterrupt` again if the first one was lost.

    If a signal arrives while Python runs a finalizer, or a callback that
    another library calls, the exception is ignored there and the work goes on.
    Python would report it with a traceback; `interruptible` keeps it quiet.
    So everything that reports the progress of long work also calls this
    function.

    Raises:
        KeyboardInterrupt: A signal has arrived in the innermost `interruptible`
            block that is running.
    """
    if _AWAITED and _AWAITED[-1].number is not None:
        raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible(line):
    """Ends a command that is interrupted with one line, without a traceback.

    Args:
        line: String. What to print as long as the command sets no other line.

    Yields:
        An `Interruption`.

    Raises:
        typer.Exit: The command was interrupted. The exit status is that of the
            signal: 130 for Ctrl-C, 143 for SIGTERM.
    """
    interruption = Interruption(line)
    before = _handle(interruption.interrupt)
    hook = sys.unraisablehook
    sys.unraisablehook = functools.partial(interruption.report, hook)
    _AWAITED.append(interruption)
    try:
        yield interruption
    except BaseException as error:
        number = interruption.number
        if isinstance(error, KeyboardInterrupt):
            number = number or signal.SIGINT
        # After a signal any error ends the command in this way, since some
        # libraries turn `KeyboardInterrupt` into another exception.
        if number is None:
            raise
        line = Text(f"{_WORDS[number]}: {interruption.line()}")
        Console(stderr=True, soft_wrap=True).print(line)
        raise typer.Exit(128 + number) from None
    finally:
        _AWAITED.remove(interruption)
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


class Ending:
    """Ends a process that was interrupted before Python takes itself apart.

    Threads of TensorFlow may still be drawing data in Python. Python takes
    itself apart while they do, and now and then that is a segmentation fault.
    So the process ends as it is, after all that is registered with `atexit`
    later than this.

    Attributes:
        status: What `SystemExit` has as its code. If it is that of a signal,
            the process ends with it.
    """

    def __init__(self):
        self.status = None
        atexit.register(self._end)

    def _end(self):
        if self.status in {128 + number for number in _WORDS}:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(self.status)


def _handle(handler):
    """Sets the handler of the signals, and returns a dict of those before."""
    before = {}
    for number in _WORDS:
        if signal.getsignal(number) in (signal.SIG_IGN, None):
            continue  # ignored: the process runs in the background
        try:
            before[number] = signal.signal(number, handler)
        except ValueError:  # only the main thread may set handlers
            break
    return before


def goes_on(command):
    """Lets a command print, if interrupted, that typing it again continues it.

    Args:
        command: Function of a `typer.Context` and options, among them
            `directory`. When it is called again, it does not repeat the work
            whose results are stored in that directory.

    Returns:
        A function of the same parameters, for `declare`.
    """

    @functools.wraps(command)
    def interruptible_command(context, directory, **options):
        again = typed.line(typed.arguments(context))
        line = f"finished work is stored in {directory}. Go on with: {again}"
        with interruptible(line):
            command(context=context, directory=directory, **options)

    return interruptible_command
