import contextlib
import functools
import signal

import typer
from rich.console import Console
from rich.text import Text

from keras_l2o_commands import typed

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class Interruption:
    """What a command says where Ctrl-C ends it.

    Attributes:
        line: Function without arguments that returns what is saved and how to
            go on. A command sets its own once there is something.
        number: The signal that came, or `None`.
    """

    def __init__(self, line):
        self.line, self.number = lambda: line, None

    def interrupt(self, number, frame):
        """Handles a signal."""
        self.number = signal.Signals(number)
        raise KeyboardInterrupt


#: The interruptions that commands wait for, the innermost last.
_AWAITED = []


def check():
    """Interrupts again where the first time was lost.

    What is raised within a finalizer or a callback of another library's is
    ignored there. Whatever tells how far long work is asks here, too.
    """
    if _AWAITED and _AWAITED[-1].number is not None:
        raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible(line):
    """Ends a command that is interrupted with one line, and no traceback.

    The exit code is that of the signal: 130 for Ctrl-C, 143 for SIGTERM.

    Args:
        line: String. What is said until the command knows better.

    Yields:
        An `Interruption`.
    """
    interruption = Interruption(line)
    before = _handle(interruption.interrupt)
    _AWAITED.append(interruption)
    try:
        yield interruption
    except BaseException as error:
        number = interruption.number
        if isinstance(error, KeyboardInterrupt):
            number = number or signal.SIGINT
        # After a signal, any error: there are libraries that make another
        # one of an interruption.
        if number is None:
            raise
        line = Text(f"{_WORDS[number]}: {interruption.line()}")
        Console(stderr=True, soft_wrap=True).print(line)
        raise typer.Exit(128 + number) from None
    finally:
        _AWAITED.remove(interruption)
        for number, handler in before.items():
            signal.signal(number, handler)


def _handle(handler):
    """Sets the handler of the signals; returns what they had."""
    before = {}
    for number in _WORDS:
        if signal.getsignal(number) in (signal.SIG_IGN, None):
            continue  # such as of a process in the background
        try:
            before[number] = signal.signal(number, handler)
        except ValueError:  # signals are the main thread's
            break
    return before


def goes_on(command):
    """Lets a command say, where it is interrupted, that it goes on itself.

    Args:
        command: Function of a `typer.Context` and options, among them
            `directory`, that does not do again what is stored there.
    """

    @functools.wraps(command)
    def interruptible_command(context, directory, **options):
        again = typed.line(typed.arguments(context))
        line = f"what has ended is stored in {directory}. Go on with: {again}"
        with interruptible(line):
            command(context=context, directory=directory, **options)

    return interruptible_command
