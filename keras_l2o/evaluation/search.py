"""Rates of the analytic rules, tuned problem by problem."""

import functools
import pathlib
import threading
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from keras_l2o.cluster import Cluster
from keras_l2o.evaluation import reduction
from keras_l2o.evaluation import rules as analytic
from keras_l2o.evaluation import storage
from keras_l2o.evaluation.contender import of_rule
from keras_l2o.evaluation.protocol import Protocol
from keras_l2o.evaluation.suite import evaluate
from keras_l2o.problems import Problem
from keras_l2o.typing import Path

if TYPE_CHECKING:
    import pandas

#: 5e-4, 1e-3, 2e-3, 5e-3 and so on to 1.
RATES = (5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0)


def gridsearch(
    problem: str | Problem,
    rules: Sequence[str] = tuple(analytic.RULES),
    rates: Sequence[float] = RATES,
    epochs: int = 5,
    seeds: Sequence[int] = (0,),
    directory: Path | None = None,
    on_run: Callable[[str, float], Any] | None = None,
    cluster: Cluster | None = None,
    **options: Any,
) -> "pandas.DataFrame":
    """Tries each rate of each analytic rule on a problem.

    Args:
        problem: Name of a problem, or a `Problem`.
        rules: Names of analytic rules. Defaults to all six: `"adam"`,
            `"rmsprop"`, `"sgd"`, `"momentum"`, `"powersign"`, `"addsign"`.
        rates: Floats, the rates to try. Defaults to eleven from `5e-4` to
            `1.0`.
        epochs: Int. Length of each run, unless `steps` is given or the
            problem has no epochs. Defaults to `5`.
        seeds: Ints, one for each run of a rate. Defaults to `(0,)`.
        directory: Path. The runs are stored in its folder `gridsearch`, and
            what is returned as `gridsearch/<problem>.csv`; runs that are
            stored there are not made again. Defaults to `None`: nothing is
            stored.
        on_run: Function of a rule's name and a rate, called after their runs.
            Defaults to `None`.
        cluster: `keras_l2o.cluster.Cluster`, whose workers make the runs, many
            at a time. Defaults to `None`.
        **options: As in `evaluate`: `steps`, `dataset`, `examples`,
            `batch_size`, `overwrite`.

    Returns:
        A `pandas.DataFrame` with a row for each rule, rate and seed: problem,
        rule, rate, seed; train_loss of the last epoch; validation_loss and
        validation_accuracy, the best of any epoch, which is what optimizers
        are compared by. Losses and accuracy are NaN if the run diverged.

    Raises:
        ValueError: There is no such rule or problem.

    Example:

    >>> frame = keras_l2o.evaluation.gridsearch(
    ...     "quadratic_10", rules=["sgd", "adam"], rates=[0.01, 0.1], steps=3)
    >>> len(frame)
    4
    """
    import pandas

    for rule in rules:
        of_rule(rule)  # an unknown name fails before anything runs
    prepared = _prepared(problem, options)
    if options.get("steps") is None and hasattr(prepared, "examples"):
        options["epochs"] = epochs

    pairs = [(rule, rate) for rule in rules for rate in rates]
    left, lock = dict.fromkeys(pairs, len(seeds)), threading.Lock()

    def run(rule, rate, seed):
        found = evaluate(
            of_rule(rule, rate),
            prepared,
            repeat=1,
            seed=seed,
            directory=directory
            and pathlib.Path(directory, "gridsearch")
            / f"{rule}-{rate:g}"
            / f"seed-{seed}",
            cluster=cluster,
            **options,
        )
        with lock:  # a cluster's runs end in threads
            left[rule, rate] -= 1
            if on_run is not None and not left[rule, rate]:
                on_run(rule, rate)
        return found

    frames = all_of(
        [
            functools.partial(run, *pair, seed)
            for pair in pairs
            for seed in seeds
        ],
        cluster,
    )
    keys = ["problem", "rule", "rate", "seed"]
    result = reduction.of_runs(pandas.concat(frames), keys)
    result = result.rename(columns={"accuracy": "validation_accuracy"})
    result = result.drop(columns="best_train_loss")
    if directory:
        storage.replace_file(
            path_in(directory, prepared.name),
            result.to_csv(index=False).encode(),
        )
    return result


def path_in(directory: Path, problem: str) -> pathlib.Path:
    """Where the frame of a search on a problem lies in a directory.

    Args:
        directory: Path, what `gridsearch` was given.
        problem: String, the problem's name.

    Returns:
        A `pathlib.Path`.
    """
    return pathlib.Path(directory, "gridsearch", f"{problem}.csv")


def read(directory: Path, problem: str) -> "pandas.DataFrame":
    """The frame of a search that `gridsearch` stored in a directory.

    Args:
        directory: Path, what `gridsearch` was given.
        problem: String, the problem's name.

    Returns:
        A `pandas.DataFrame` as `gridsearch` returns.

    Raises:
        ValueError: No search on the problem is stored there.
    """
    import pandas

    path = path_in(directory, problem)
    if not path.is_file():
        raise ValueError(
            f"There is no {path}. `keras-l2o gridsearch --problem={problem} "
            f"--directory={directory}` makes it."
        )
    return pandas.read_csv(path)


def best_rates(frame: "pandas.DataFrame") -> dict[str, float]:
    """The rate of each rule whose mean validation loss is the least.

    A rate with a run that diverged counts as infinitely bad.

    Args:
        frame: `pandas.DataFrame` that `gridsearch` returned.

    Returns:
        Dict from the rule's name to its rate.

    Raises:
        ValueError: Each rate of a rule has a run that diverged.

    Example:

    >>> import pandas
    >>> frame = pandas.read_csv("held_out/gridsearch/conv_fmnist.csv")
    >>> keras_l2o.evaluation.best_rates(frame)["adam"]
    0.01
    """
    groups = frame.groupby(["rule", "rate"], sort=False)
    losses = groups["validation_loss"].agg(reduction.compared_mean)
    best = {}
    for rule, row in losses.groupby(level="rule", sort=False):
        if not np.isfinite(row.min()):
            raise ValueError(
                f"Every rate of rule {rule!r} diverged. Search lower rates "
                f"than {min(frame['rate']):g}."
            )
        best[rule] = float(row.idxmin()[1])
    return best


def baselines(
    problem: str | Problem,
    rates: Mapping[str, float],
    directory: Path | None = None,
    on_run: Callable[[str], Any] | None = None,
    cluster: Cluster | None = None,
    **options: Any,
) -> "pandas.DataFrame":
    """Evaluates analytic rules at given rates.

    Args:
        problem: Name of a problem, or a `Problem`.
        rates: Dict from rules' names to rates, such as `best_rates(frame)`.
        directory: Path. Runs are stored in its folders
            `baselines/<rule>-<rate>`. Defaults to `None`: nothing is stored.
        on_run: Function of a rule's name, called after its runs. Defaults to
            `None`.
        cluster: `keras_l2o.cluster.Cluster`, whose workers make the runs, many
            at a time. Defaults to `None`.
        **options: As in `evaluate`.

    Returns:
        A `pandas.DataFrame` as `evaluate` returns, with columns rule and
        rate; the optimizer's name is both, such as `"adam 0.005"`.

    Raises:
        ValueError: There is no such rule or problem.

    Example:

    >>> frame = keras_l2o.evaluation.baselines(
    ...     "quadratic_10", {"adam": 0.1, "sgd": 0.01}, repeat=2, steps=3)
    >>> list(frame["optimizer"].unique())
    ['adam 0.1', 'sgd 0.01']
    """
    import pandas

    contenders = {rule: of_rule(rule, rate) for rule, rate in rates.items()}
    problem = _prepared(problem, options)

    def runs(rule, rate):
        found = evaluate(
            contenders[rule],
            problem,
            directory=directory
            and pathlib.Path(directory, "baselines", f"{rule}-{rate:g}"),
            cluster=cluster,
            **options,
        )
        if on_run is not None:
            on_run(rule)
        return found

    calls = [functools.partial(runs, *pair) for pair in rates.items()]
    return pandas.concat(all_of(calls, cluster), ignore_index=True)


def all_of(
    calls: Sequence[Callable[[], Any]], cluster: Cluster | None
) -> list[Any]:
    """What functions return: one after the other, or with a cluster at once.

    Args:
        calls: List of functions without arguments.
        cluster: `keras_l2o.cluster.Cluster`, or `None`.

    Returns:
        List.
    """
    if cluster is None:
        return [call() for call in calls]
    return cluster.call(calls)


def _prepared(problem, options):
    """Loads the problem once for all runs; takes its options out."""
    names = ("dataset", "batch_size", "examples")
    own = {name: options.pop(name, None) for name in names}
    return Protocol(**own).prepared(problem)


def oracle(
    frame: "pandas.DataFrame", pool: Iterable[str] | None = None
) -> tuple[str, float]:
    """The tuned rule that did best on a problem, by validation loss.

    A search finds each rule's best rate with few, short runs. Among these
    tuned rules, longer runs then decide, those of `baselines`. A rule with a
    run that diverged counts as infinitely bad.

    Args:
        frame: `pandas.DataFrame` of rules at their tuned rates on one
            problem: what `baselines` returned, or `collection.collect` read.
        pool: Names of the rules to choose from. Defaults to `None`, all in
            the frame.

    Returns:
        A pair: the rule's name and its rate.

    Raises:
        ValueError: No rule of the pool is in the frame, or each of them has
            a run that diverged.

    Example:

    >>> frame = keras_l2o.evaluation.collection.collect(
    ...     ["held_out/baselines"], "conv_fmnist")
    >>> keras_l2o.evaluation.oracle(frame)
    ('adam', 0.01)
    """
    if pool is not None:
        frame = frame[frame["rule"].isin(list(pool))]
    if frame.empty:
        raise ValueError(
            "Argument `pool` must name rules that were run. Received: "
            f"pool={pool}"
        )
    keys = ["rule", "rate"]
    found = reduction.of_runs(frame, [*keys, "run"]).groupby(keys, sort=False)
    losses = found["validation_loss"].agg(reduction.compared_mean)
    if not np.isfinite(losses.min()):
        raise ValueError(
            "Each rule of the pool has a run that diverged: none is an oracle."
        )
    rule, rate = losses.idxmin()
    return rule, float(rate)
