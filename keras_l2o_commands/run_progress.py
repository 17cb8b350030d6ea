import contextlib

from keras_l2o_commands.progress import COMPILING
from keras_l2o_commands.progress import Progress


@contextlib.contextmanager
def run_progress(title, runs, epochs=1):
    """Shows how many of some runs are done.

    Args:
        title: String.
        runs: Int.
        epochs: Int. How often a run is heard of, or `None` if nobody knows.

    Yields:
        A function of a run's number, from 0, and a line, to be called after
        each epoch. Runs may go side by side; where earlier ones are stored,
        the first call has another number than 0.
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
