"""Progress of the runs of an evaluation."""

import contextlib

from keras_l2o_commands.progress import COMPILING
from keras_l2o_commands.progress import Progress


class RunProgress:
    """Counts the runs that are done.

    Args:
        title: String, such as the name of the problem.
        runs: Int. Number of runs.
        progress: `Progress` that shows them.
    """

    def __init__(self, title, runs, progress):
        self.title, self.runs, self._progress = title, runs, progress
        self._stored, self._epochs, self._calls, self._ended = 0, 1, 0, 0

    def start(self, stored, epochs):
        """Takes what an evaluation knows before its first run.

        Args:
            stored: Int. Runs that were made before.
            epochs: Int. How often `advance` is called for each of the others.
        """
        self._stored = self._ended = stored
        self._epochs = epochs

    def advance(self, line):
        """Counts an epoch of any run, or a run if `start` was not called.

        Args:
            line: String that is shown beside the bar.
        """
        self._calls += 1
        done = self._stored + self._calls / self._epochs
        self._progress.move(done, f"{self.title}: {line}")
        if int(done) > self._ended:
            self._ended = int(done)
            self._progress.note(
                f"{self.title}: {self._ended} of {self.runs} done"
            )


@contextlib.contextmanager
def run_progress(title, runs):
    """Shows how many runs of an evaluation are done.

    They may be made in any order, and at the same time.

    Args:
        title: String, such as the name of the problem.
        runs: Int. Number of runs.

    Yields:
        `RunProgress`.
    """
    with Progress(title, runs) as progress:
        progress.announce(f"{title}: {COMPILING}")
        yield RunProgress(title, runs, progress)
