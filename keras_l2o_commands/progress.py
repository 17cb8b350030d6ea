"""Progress of long work: a bar on a terminal, and lines elsewhere."""

import datetime
import time

from rich.console import Console
from rich.progress import BarColumn
from rich.progress import Progress as Bar
from rich.progress import TextColumn

from keras_l2o_commands import interruption

COMPILING = "compiling the first step, which takes up to a minute"


class Progress:
    """Shows on stderr how much work is done and how much time is left.

    Use it as a context manager. On a terminal it shows a bar, which disappears
    at the end. Elsewhere, such as in a log file, it prints only the lines that
    `say`, `note` and `announce` get.

    Args:
        title: String that the bar shows at first.
        total: Float, all the work in any unit, or `None` if it is not known.
        console: `rich.console.Console`. Defaults to `None`, one that prints to
            stderr.
        clock: Function that returns seconds. Defaults to `time.monotonic`.
    """

    def __init__(self, title, total, console=None, clock=time.monotonic):
        self._console = console or Console(stderr=True, soft_wrap=True)
        self._clock = clock
        self._total, self._done = total, 0
        # `(done, time)` of the first move, from which the pace is measured.
        # Before it there is compilation, and work of an earlier process.
        self._first = None
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            transient=True,
            disable=not self.live,
        )
        self._task = self._bar.add_task(title, total=total, left="")

    @property
    def live(self):
        """Bool. Whether a bar is shown."""
        return self._console.is_terminal

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def say(self, line):
        """Prints a line, above the bar if there is one.

        Args:
            line: String.
        """
        self._console.print(line, markup=False, highlight=False)

    def note(self, line):
        """Prints a line and the time that is left, if no bar is shown.

        Args:
            line: String.
        """
        if not self.live:
            self.say(", ".join(filter(None, (line, self.left()))))

    def announce(self, line):
        """Shows what begins: beside the bar, or else on a line of its own.

        Args:
            line: String.
        """
        self._bar.update(self._task, description=line)
        if not self.live:
            self.say(line)

    def move(self, done, line, total=None):
        """Moves the bar.

        Args:
            done: Float. How much work is done, in the unit of `total`.
            line: String. What is being done, shown beside the bar.
            total: Float. All the work, if that has changed. Defaults to `None`,
                unchanged.

        Raises:
            KeyboardInterrupt: The command was interrupted, but the exception
                was lost; see `interruption.check`.
        """
        interruption.check()
        if total is not None:
            self._total = total
        if self._first is None:
            self._first = (done, self._clock())
        self._done = done
        self._bar.update(
            self._task,
            completed=done,
            total=self._total,
            description=line,
            left=self.left(),
        )

    def left(self):
        """The estimated time that is left.

        Returns:
            String such as `"0:01:20 left"`; empty if there is no estimate yet.
        """
        if self._first is None or self._total is None:
            return ""
        done = self._done - self._first[0]
        if done <= 0:
            return ""
        pace = (self._clock() - self._first[1]) / done
        seconds = max(0.0, self._total - self._done) * pace
        return f"{datetime.timedelta(seconds=round(seconds))} left"
