"""How an optimizer does on a problem, run after run."""

import contextlib
import functools
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

from keras_l2o.evaluation import at_once
from keras_l2o.evaluation import private
from keras_l2o.evaluation.contender import contender
from keras_l2o.evaluation.protocol import Protocol
from keras_l2o.evaluation.shelf import Shelf
from keras_l2o.evaluation.training_run import train
from keras_l2o.problems import Problem
from keras_l2o.problems import catalogue
from keras_l2o.typing import Path
from keras_l2o.version import versions

if TYPE_CHECKING:
    import pandas


def evaluate(
    optimizer: Any,
    problem: str | Problem,
    repeat: int = 10,
    *,
    directory: Path | None = None,
    overwrite: bool = False,
    on_epoch: Callable[[int, int, dict[str, float]], Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    **protocol: Any,
) -> "pandas.DataFrame":
    """Trains new models of a problem with an optimizer and validates them.

    A run that diverges is recorded and the next one begins. With a directory
    each run is stored when it ends: runs that are stored already are not made
    again, so that the same call continues an evaluation that was interrupted.

    On JAX up to 64 runs go side by side in one compiled program, unless
    training is private or traced. They end, and are stored, together, so that
    an interruption loses all of them; the seconds of a run are the time of all
    divided by their number.

    Args:
        optimizer: A Keras optimizer, learned or not, or a policy, of which
            each run gets a fresh copy; a function that returns an optimizer;
            or a string: a name that `keras_l2o.from_hub` takes, such as
            `"min-max/1"`, the path of an optimizer's folder or of a run
            directory, or the name of an analytic rule such as `"adam"`.
        problem: Name of a problem, or a `Problem`.
        repeat: Int. Number of runs; run `i` has seed `seed + i`. Defaults to
            `10`.
        directory: Path. The runs are stored in its
            `evaluations/<problem>.npz`, for `keras_l2o.evaluation.read`, with
            the losses of all batches and the trace. Defaults to `None`:
            nothing is stored.
        overwrite: Bool. Whether an evaluation with other settings that is
            stored there is replaced. Defaults to `False`.
        on_epoch: Function of the run's number, the epoch's number (both from
            0), and a dict of the epoch's validation figures. Defaults to
            `None`.
        custom_objects: Dict of classes that an optimizer's folder may name,
            as in `keras_l2o.load`. Defaults to `None`.
        **protocol: Any of `epochs` or `steps`, `examples`, `batch_size`,
            `dataset`, `seed` and `trace`, as in `evaluation.Protocol`.

    Returns:
        A `pandas.DataFrame` with a row for each run and epoch: problem,
        optimizer, for an analytic rule also rule and rate, run, seed, epoch,
        step, train_loss, validation_loss, validation_accuracy, seconds.

    Raises:
        ValueError: There is no such optimizer or problem, an argument of the
            protocol is not possible, or the directory holds an evaluation
            with other settings.

    Example:

    >>> frame = keras_l2o.evaluate("min-max/1", "digits_train", repeat=2,
    ...                            epochs=2)
    """
    return _evaluate(
        [(contender(optimizer, custom_objects), directory)],
        problem,
        Protocol(repeat, **protocol),
        overwrite,
        on_epoch and (lambda _, *figures: on_epoch(*figures)),
    )[0]


def evaluate_replicates(
    optimizers: Sequence[Any],
    problem: str | Problem,
    directories: Sequence[Path | None] | None = None,
    *,
    overwrite: bool = False,
    on_epoch: Callable[[int, int, int, dict[str, float]], Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    **protocol: Any,
) -> "pandas.DataFrame":
    """Evaluates the replicates of a family; on JAX all of them at once.

    Args:
        optimizers: List of the replicates, each as `evaluate` takes one. On
            JAX they go side by side if they differ in their weights only.
        problem: Name of a problem, or a `Problem`.
        directories: List of paths, one for each optimizer, where its runs are
            stored. Defaults to `None`: nothing is stored.
        overwrite: Bool. Whether evaluations with other settings that are
            stored there are replaced. Defaults to `False`.
        on_epoch: Function of the replicate's number (from 1), the run's
            number, the epoch's number (both from 0), and a dict of the
            epoch's validation figures. Defaults to `None`.
        custom_objects: Dict of classes that an optimizer's folder may name,
            as in `keras_l2o.load`. Defaults to `None`.
        **protocol: Any of `repeat`, `epochs` or `steps`, `examples`,
            `batch_size`, `dataset`, `seed` and `trace`, as in
            `evaluation.Protocol`.

    Returns:
        A `pandas.DataFrame` as `evaluate` returns, with a column `replicate`,
        from 1.

    Raises:
        ValueError: There are not as many directories as optimizers; or as in
            `evaluate`.

    Example:

    >>> frame = keras_l2o.evaluation.evaluate_replicates(
    ...     ["min-max-compact/1", "min-max-compact/2"], "quadratic_10",
    ...     repeat=1, steps=3)
    >>> frame["replicate"].unique().tolist()
    [1, 2]
    """
    import pandas

    if directories is None:
        directories = [None] * len(optimizers)
    if not optimizers or len(directories) != len(optimizers):
        raise ValueError(
            "Argument `directories` must have a path for each optimizer. "
            f"Received: {len(directories)} of {len(optimizers)}"
        )
    frames = _evaluate(
        [
            (contender(optimizer, custom_objects), directory)
            for optimizer, directory in zip(optimizers, directories)
        ],
        problem,
        Protocol(**protocol),
        overwrite,
        on_epoch,
    )
    return pandas.concat(
        [frame.assign(replicate=i + 1) for i, frame in enumerate(frames)],
        ignore_index=True,
    )


def _evaluate(pairs, problem, protocol, overwrite, on_epoch):
    """A frame for each pair of a contender and a directory."""
    if protocol.trace is not None and not all(path for _, path in pairs):
        raise ValueError(
            "A trace is only in the stored evaluation: give the argument "
            f"`directory`, too. Received: trace={protocol.trace}"
        )
    problem = protocol.prepared(problem)
    entry = catalogue.CATALOGUE.get(problem.name)
    privacy = private.Privacy() if getattr(entry, "private", False) else None
    settings = _settings(problem, protocol, privacy)
    with contextlib.ExitStack() as held:
        shelves = [
            Shelf(optimizer, directory, settings, overwrite, held)
            for optimizer, directory in pairs
        ]
        _run_all(shelves, problem, protocol, privacy, on_epoch)
    return [
        shelf.evaluation.first(protocol.repeat).frame() for shelf in shelves
    ]


def _settings(problem, protocol, privacy):
    """What is asked for, the optimizer aside."""
    steps, epoch_steps = protocol.length(problem)
    return {
        "problem": problem.name,
        "dataset": getattr(problem.data, "name", None),
        "data_digest": problem.digest(),
        "examples": getattr(problem, "examples", None),
        "batch_size": problem.batch_size,
        "steps": steps,
        "epoch_steps": epoch_steps,
        "seed": protocol.seed,
        "trace": protocol.trace,
        "privacy": _spent(privacy, problem, steps),
        "versions": versions(),
    }


def _run_all(shelves, problem, protocol, privacy, on_epoch):
    """Makes the runs that are not stored yet."""
    length = protocol.length(problem)
    left = [
        (replicate, shelf, number)
        for replicate, shelf in enumerate(shelves, 1)
        for number in range(shelf.evaluation.runs, protocol.repeat)
    ]

    def report(run, epoch, logs):
        if on_epoch is not None:
            replicate, _, number = run
            on_epoch(replicate, number, epoch, logs)

    if at_once.can_run(problem) and privacy is None and protocol.trace is None:
        for group in _groups(left):
            runs = at_once.train_at_once(
                problem,
                [shelf.contender.make() for _, shelf, _ in group],
                [protocol.seed + number for *_, number in group],
                *length,
                lambda run, *figures, g=group: report(g[run], *figures),
            )
            for (_, shelf, number), run in zip(group, runs):
                shelf.put(run, protocol.seed + number)
        return
    for replicate, shelf, number in left:
        run = train(
            problem,
            shelf.contender.make(),
            *length,
            protocol.seed + number,
            privacy=privacy,
            trace=protocol.trace,
            on_epoch=functools.partial(report, (replicate, shelf, number)),
        )
        shelf.put(run, protocol.seed + number)


def _groups(runs):
    """Runs that may go side by side: of one rule, and not too many."""
    groups = []
    for run in runs:
        _, shelf, _ = run
        full = groups and len(groups[-1]) == at_once.RUNS
        if not groups or full or groups[-1][-1][1].rule != shelf.rule:
            groups.append([])
        groups[-1].append(run)
    return groups


def _spent(privacy, problem, steps):
    """The settings of private training and the epsilon of a whole run."""
    if privacy is None:
        return None
    return {
        **privacy._asdict(),
        "epsilon": private.epsilon(
            privacy, problem.batch_size, problem.examples, steps
        ),
    }
