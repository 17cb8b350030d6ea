"""Progress of the runs of an evaluation."""

import contextlib

from keras_l2o_commands.progress import COMPILING
from keras_l2o_commands.progress import Progress


@contextlib.contextmanager
def run_progress(title, runs, epochs=1):
    """Shows how many runs of an evaluation are done.

    Args:
        title: String, such as the name of the problem.
        runs: Int. Number of runs.
        epochs: Int. How often the yielded function is called for each run, or
            `None` if that is not known. Defaults to `1`.

    Yields:
        A function, to be called after each epoch of a run with the run's
        number, an int from 0, and a string that is shown. Runs may be trained
        at the same time. If earlier runs are stored already, the number in the
        first call is not 0.
    """
    first, calls, ended = None, 0, 0
    with Progress(title, None if epochs is None else runs) as progress:

        def advance(run, line):
            nonlocal first, calls, ended
            first = run if first is None else first
            calls += 1
            done = run if epochs is None else first + calls / epochs
            progress.move(done, f"{title}: {line}")
            if int(done) > ended:
                ended = int(done)
                progress.note(f"{title}: {ended} of {runs} done")

        progress.announce(f"{title}: {COMPILING}")
        yield advance
