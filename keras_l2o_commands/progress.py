"""What long work is at: a bar on a terminal, lines elsewhere."""

import datetime
import time

from rich.console import Console
from rich.progress import BarColumn
from rich.progress import Progress as Bar
from rich.progress import TextColumn

from keras_l2o_commands import interruption

COMPILING = "compiling the first step, which takes up to a minute"


class Progress:
    """Shows on stderr how far some work is and how long it still takes.

    On a terminal it is a bar, which is gone when the work is done; elsewhere
    only what is said is printed, a line each.

    Args:
        title: String.
        total: Float, in any unit of work, or `None` if nobody knows.
        console: `rich.console.Console`. Defaults to one of stderr.
        clock: Function that returns seconds. Defaults to `time.monotonic`.
    """

    def __init__(self, title, total, console=None, clock=time.monotonic):
        self._console = console or Console(stderr=True, soft_wrap=True)
        self._clock = clock
        self._total, self._done = total, 0
        # The pace is measured from the first move on: what comes before it
        # is compilation, or was done by an earlier process.
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
        """Whether there is a bar."""
        return self._console.is_terminal

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def say(self, line):
        """Prints a line that stays, above the bar if there is one."""
        self._console.print(line, markup=False, highlight=False)

    def note(self, line):
        """Prints a line with the time that is left, unless a bar shows it."""
        if not self.live:
            self.say(", ".join(filter(None, (line, self.left()))))

    def announce(self, line):
        """Says what begins: beside the bar, or on a line of its own."""
        self._bar.update(self._task, description=line)
        if not self.live:
            self.say(line)

    def move(self, done, line, total=None):
        """Moves the bar, unless the command was interrupted.

        Args:
            done: Float. Work that is done.
            line: String. What the work is at.
            total: Float. If given, all the work there is now.

        Raises:
            KeyboardInterrupt: If a signal came, and nothing heard of it.
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
        """The time that is left, such as `"0:01:20 left"`; empty if unknown."""
        if self._first is None or self._total is None:
            return ""
        done = self._done - self._first[0]
        if done <= 0:
            return ""
        pace = (self._clock() - self._first[1]) / done
        seconds = max(0.0, self._total - self._done) * pace
        return f"{datetime.timedelta(seconds=round(seconds))} left"
