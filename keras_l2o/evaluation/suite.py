"""Evaluates optimizers: trains new models with them, run after run."""

import contextlib
import functools
import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import keras

from keras_l2o.cluster import Cluster
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
    on_start: Callable[[int, int], Any] | None = None,
    on_epoch: Callable[[int, int, dict[str, float]], Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    cluster: Cluster | None = None,
    **protocol: Any,
) -> "pandas.DataFrame":
    """Trains new models of a problem with an optimizer and validates them.

    A policy that reads the horizon is told how many steps a run has.

    If a run diverges, this is recorded and the next run begins. If a directory
    is given, each run is stored there when it ends. Runs that are stored
    already are not repeated, so that the same call continues an evaluation that
    was interrupted.

    On JAX up to 64 runs are trained at the same time, in one compiled program,
    unless training is private or traced. They end together and are then stored
    together, so that an interruption loses all of them. The seconds of such a
    run are the time that all took, divided by their number.

    Args:
        optimizer: A Keras optimizer, learned or not, or a policy, of which
            each run gets a fresh copy; a function that returns an optimizer;
            or a string: a name that `keras_l2o.from_hub` takes, such as
            `"min-max/1"`, the path of an optimizer's folder or of a run
            directory, or the name of an analytic rule such as `"adam"`.
        problem: Name of a problem, or a `Problem`.
        repeat: Int. Number of runs; run `i` has seed `seed + i`. Defaults to
            `10`.
        directory: Path. The runs are stored in the directory's file
            `evaluations/<problem>.npz`, with the losses of all batches and the
            trace; `keras_l2o.evaluation.read` reads the file. Defaults to
            `None`: nothing is stored.
        overwrite: Bool. Whether to replace a stored evaluation that has other
            settings. Defaults to `False`: such an evaluation is an error.
        on_start: Function of the number of runs that are stored already, and
            of the epochs of a run; called before the others are made. Defaults
            to `None`.
        on_epoch: Function of the run's number, the epoch's number (both from
            0), and a dict of the epoch's validation figures. Defaults to
            `None`.
        custom_objects: Dict of classes that an optimizer's folder may name,
            as in `keras_l2o.load`. Defaults to `None`.
        cluster: `keras_l2o.cluster.Cluster`, whose workers make the runs.
            `on_epoch` is then called when a run has ended. Defaults to `None`:
            this process makes them.
        **protocol: Any of `epochs` or `steps`, `epoch_steps`, `examples`,
            `batch_size`, `dataset`, `seed` and `trace`, as in
            `evaluation.Protocol`.

    Returns:
        A `pandas.DataFrame` with a row for each run and epoch. Its columns are
        problem, optimizer, run, seed, epoch, step, train_loss, validation_loss,
        validation_accuracy and seconds and, if the optimizer is an analytic
        rule, also rule and rate.

    Raises:
        ValueError: There is no such optimizer or problem, an argument of the
            protocol is invalid, or the directory has an evaluation with other
            settings.

    Example:

    >>> frame = keras_l2o.evaluate("min-max/1", "digits_train", repeat=2,
    ...                            epochs=2)
    """
    return _evaluate(
        [(contender(optimizer, custom_objects), directory)],
        problem,
        Protocol(repeat, **protocol),
        overwrite,
        on_start,
        on_epoch and (lambda _, *figures: on_epoch(*figures)),
        custom_objects,
        cluster,
    )[0]


def evaluate_replicates(
    optimizers: Sequence[Any],
    problem: str | Problem,
    directories: Sequence[Path | None] | None = None,
    *,
    overwrite: bool = False,
    on_start: Callable[[int, int], Any] | None = None,
    on_epoch: Callable[[int, int, int, dict[str, float]], Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    cluster: Cluster | None = None,
    **protocol: Any,
) -> "pandas.DataFrame":
    """Evaluates the replicates of a family, on JAX at the same time.

    Args:
        optimizers: List of the replicates, each in a form that `evaluate`
            takes. On JAX those that differ only in their weights are trained at
            the same time.
        problem: Name of a problem, or a `Problem`.
        directories: List of paths, one for each optimizer, in which its runs
            are stored. Defaults to `None`: nothing is stored.
        overwrite: Bool. Whether to replace stored evaluations that have other
            settings. Defaults to `False`: such an evaluation is an error.
        on_start: Function of the number of runs that are stored already, and
            of the epochs of a run; called before the others are made. Defaults
            to `None`.
        on_epoch: Function of the replicate's number (from 1), the run's
            number, the epoch's number (both from 0), and a dict of the
            epoch's validation figures. Defaults to `None`.
        custom_objects: Dict of classes that an optimizer's folder may name,
            as in `keras_l2o.load`. Defaults to `None`.
        cluster: `keras_l2o.cluster.Cluster`, as in `evaluate`. Defaults to
            `None`.
        **protocol: Any of `repeat`, `epochs` or `steps`, `epoch_steps`,
            `examples`, `batch_size`, `dataset`, `seed` and `trace`, as in
            `evaluation.Protocol`.

    Returns:
        A `pandas.DataFrame` as `evaluate` returns, with one more column,
        `replicate`: the number of the replicate, from 1.

    Raises:
        ValueError: There are not as many directories as optimizers, or for any
            of the reasons that `evaluate` has.

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
        on_start,
        on_epoch,
        custom_objects,
        cluster,
    )
    return pandas.concat(
        [frame.assign(replicate=i + 1) for i, frame in enumerate(frames)],
        ignore_index=True,
    )


def _evaluate(
    pairs,
    problem,
    protocol,
    overwrite,
    on_start,
    on_epoch,
    custom_objects,
    cluster,
):
    """A list of frames, one for each pair of a contender and a directory."""
    if protocol.trace is not None and not all(path for _, path in pairs):
        raise ValueError(
            "Argument `trace` needs the argument `directory`, since only the "
            f"stored evaluation has the trace. Received: trace={protocol.trace}"
        )
    problem = protocol.prepared(problem)
    privacy = _privacy(problem)
    settings = _settings(problem, protocol, privacy)
    with contextlib.ExitStack() as held:
        shelves = [
            Shelf(optimizer, directory, settings, overwrite, held)
            for optimizer, directory in pairs
        ]
        together = _together(problem, protocol)
        left = [
            (replicate, shelf, number)
            for replicate, shelf in enumerate(shelves, 1)
            for number in shelf.missing(protocol)
        ]
        if on_start is not None:
            steps, epoch_steps = protocol.length(problem)
            stored = len(shelves) * protocol.repeat - len(left)
            on_start(stored, math.ceil(steps / epoch_steps))
        if cluster is None:
            groups = _groups(left, at_once.RUNS if together else 1)
            _run_here(groups, problem, protocol, on_epoch)
        else:
            share = math.ceil(len(left) / cluster.size)
            groups = _groups(left, min(at_once.RUNS, share) if together else 1)
            _run_there(
                groups, problem, protocol, on_epoch, custom_objects, cluster
            )
    return [
        shelf.evaluation.first(protocol.repeat).frame() for shelf in shelves
    ]


def _settings(problem, protocol, privacy):
    """The settings of an evaluation that do not concern the optimizer."""
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


def _privacy(problem):
    """The `Privacy` of a problem's training, `None` if it is not private."""
    entry = catalogue.CATALOGUE.get(problem.name)
    return private.Privacy() if getattr(entry, "private", False) else None


def _together(problem, protocol):
    """Whether one program can make several runs."""
    return (
        at_once.can_run(problem)
        and _privacy(problem) is None
        and protocol.trace is None
    )


def _run_here(groups, problem, protocol, on_epoch):
    """Makes groups of runs in this process, and stores each."""
    for group in groups:

        def report(index, epoch, logs, group=group):
            if on_epoch is not None:
                replicate, _, number = group[index]
                on_epoch(replicate, number, epoch, logs)

        optimizers = [shelf.contender.make() for _, shelf, _ in group]
        numbers = [number for *_, number in group]
        runs = _train(problem, protocol, optimizers, numbers, report)
        for (_, shelf, number), run in zip(group, runs):
            shelf.put(run, protocol.seed + number)


def _run_there(groups, problem, protocol, on_epoch, custom_objects, cluster):
    """Lets the workers of a cluster make groups of runs, and stores each."""
    pieces = []
    for group in groups:
        optimizers = [
            keras.optimizers.serialize(shelf.contender.make())
            for _, shelf, _ in group
        ]
        numbers = [number for *_, number in group]
        pieces.append((problem, protocol, optimizers, numbers, custom_objects))
    for piece, runs in cluster.each(train_for_another, pieces):
        for (replicate, shelf, number), run in zip(groups[piece], runs):
            shelf.put(run, protocol.seed + number)
            if on_epoch is not None:
                figures = zip(run.validation_loss, run.validation_accuracy)
                for epoch, (loss, accuracy) in enumerate(figures):
                    logs = {"loss": loss, "accuracy": accuracy}
                    on_epoch(replicate, number, epoch, logs)


def train_for_another(problem, protocol, configs, numbers, custom_objects):
    """Makes runs of an evaluation that another process stores.

    Args:
        problem: `Problem`.
        protocol: `Protocol`.
        configs: List of serialized optimizers, one for each run.
        numbers: List of the runs' numbers, ints.
        custom_objects: Dict of classes that the optimizers name, or `None`.

    Returns:
        List of `TrainingRun`.
    """
    optimizers = [
        keras.optimizers.deserialize(config, custom_objects)
        for config in configs
    ]
    return _train(problem, protocol, optimizers, numbers)


def _train(problem, protocol, optimizers, numbers, report=None):
    """Makes a run with each of some optimizers.

    `report` is called after epochs, with a run's place in the list, the
    epoch's number and its figures.
    """
    length = protocol.length(problem)
    seeds = [protocol.seed + number for number in numbers]
    if _together(problem, protocol):
        return at_once.train_at_once(
            problem, optimizers, seeds, *length, report
        )
    return [
        train(
            problem,
            optimizer,
            *length,
            seed,
            privacy=_privacy(problem),
            trace=protocol.trace,
            on_epoch=report and functools.partial(report, index),
        )
        for index, (optimizer, seed) in enumerate(zip(optimizers, seeds))
    ]


def _groups(runs, most):
    """Splits runs into lists of those that one program can train."""
    groups = []
    for run in runs:
        _, shelf, _ = run
        full = groups and len(groups[-1]) == most
        if not groups or full or groups[-1][-1][1].rule != shelf.rule:
            groups.append([])
        groups[-1].append(run)
    return groups


def _spent(privacy, problem, steps):
    """Dict of the settings of private training and the epsilon of a run."""
    if privacy is None:
        return None
    return {
        **privacy._asdict(),
        "epsilon": private.epsilon(
            privacy, problem.batch_size, problem.examples, steps
        ),
    }
