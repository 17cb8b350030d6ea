"""Medians of the time of steps that take turns."""

import statistics
import time

#: A round repeats a step until it takes about so many seconds.
ROUND = 0.05
MOST_REPEATS = 50
#: After so many seconds three rounds are enough.
LONG = 6.0


def alternate(steps, rounds):
    """Median seconds of a step, of several that take turns in each round.

    A round of a step asks for it some times and waits once, so that what the
    host prepares is hidden where it is in a training, too.

    Args:
        steps: Dict of objects with `run()`, which asks for one step, and
            `wait()`, which returns when it is made.
        rounds: Int.

    Returns:
        Dict of floats.
    """
    repeats = {name: _repeats(step) for name, step in steps.items()}
    times = {name: [] for name in steps}
    started = time.perf_counter()
    for made in range(rounds):
        if made >= 3 and time.perf_counter() - started > LONG:
            break
        for name, step in steps.items():
            times[name].append(_seconds(step, repeats[name]))
    return {name: statistics.median(row) for name, row in times.items()}


def _repeats(step):
    for _ in range(2):
        step.run()
    step.wait()
    return max(1, min(MOST_REPEATS, int(ROUND / _seconds(step, 1))))


def _seconds(step, repeats):
    started = time.perf_counter()
    for _ in range(repeats):
        step.run()
    step.wait()
    return (time.perf_counter() - started) / repeats
