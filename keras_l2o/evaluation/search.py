"""Rates of the analytic rules, tuned problem by problem."""

import pathlib

import numpy as np

from keras_l2o.evaluation import reduction
from keras_l2o.evaluation import rules as analytic
from keras_l2o.evaluation import storage
from keras_l2o.evaluation.contender import of_rule
from keras_l2o.evaluation.protocol import Protocol
from keras_l2o.evaluation.suite import evaluate

#: 5e-4, 1e-3, 2e-3, 5e-3 and so on to 1.
RATES = (5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0)


def gridsearch(
    problem,
    rules=tuple(analytic.RULES),
    rates=RATES,
    epochs=5,
    seeds=(0,),
    directory=None,
    on_run=None,
    **options,
):
    """Tries each rate of each rule on a problem.

    Args:
        problem: Name of a problem, or a `Problem`.
        rules: Names of analytic rules, see `rules.RULES`. Defaults to all.
        rates: Floats. Defaults to `RATES`.
        epochs: Int. Length of each run, unless `steps` is given or the
            problem has no epochs. Defaults to `5`.
        seeds: Ints, one a run. Defaults to `(0,)`.
        directory: Path. The runs are stored in its folder `gridsearch` and
            not run again, and the frame as its `<problem>.csv`. Defaults to
            nowhere.
        on_run: Function of a rule and a rate, called after their runs.
        **options: As in `evaluate`: `steps`, `dataset`, `examples`,
            `batch_size`, `overwrite`.

    Returns:
        A `pandas.DataFrame` with a row for each rule, rate and seed: problem,
        rule, rate, seed; train_loss of the last epoch; validation_loss and
        validation_accuracy, the best of any epoch, which is what optimizers
        are compared by; NaN if the run diverged.
    """
    import pandas

    for rule in rules:
        of_rule(rule)  # an unknown name fails before anything runs
    problem = _prepared(problem, options)
    if options.get("steps") is None and hasattr(problem, "examples"):
        options["epochs"] = epochs
    frames = []
    for rule in rules:
        for rate in rates:
            frames += [
                evaluate(
                    of_rule(rule, rate),
                    problem,
                    repeat=1,
                    seed=seed,
                    directory=directory
                    and pathlib.Path(directory, "gridsearch")
                    / f"{rule}-{rate:g}"
                    / f"seed-{seed}",
                    **options,
                )
                for seed in seeds
            ]
            if on_run is not None:
                on_run(rule, rate)
    keys = ["problem", "rule", "rate", "seed"]
    result = reduction.of_runs(pandas.concat(frames), keys)
    result = result.rename(columns={"accuracy": "validation_accuracy"})
    result = result.drop(columns="best_train_loss")
    if directory:
        storage.replace_file(
            path_in(directory, problem.name),
            result.to_csv(index=False).encode(),
        )
    return result


def path_in(directory, problem):
    """Where the frame of a search on a problem lies in a directory."""
    return pathlib.Path(directory, "gridsearch", f"{problem}.csv")


def read(directory, problem):
    """The frame of a search that `gridsearch` stored in a directory."""
    import pandas

    path = path_in(directory, problem)
    if not path.is_file():
        raise ValueError(
            f"There is no {path}. `keras-l2o gridsearch --problem={problem} "
            f"--directory={directory}` makes it."
        )
    return pandas.read_csv(path)


def best_rates(frame):
    """The rate of each rule whose mean validation loss is the least.

    A rate with a run that diverged counts as infinitely bad.

    Args:
        frame: What `gridsearch` returned.

    Returns:
        Dict from the rule's name to its rate.
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


def baselines(problem, rates, directory=None, **options):
    """Evaluates analytic rules at given rates.

    Args:
        problem: Name of a problem, or a `Problem`.
        rates: Dict from rules' names to rates, such as `best_rates(frame)` or
            `rules.DEEP_RATES`.
        directory: Path. Runs are stored in its folders
            `baselines/<rule>-<rate>`. Defaults to nowhere.
        **options: As in `evaluate`.

    Returns:
        A `pandas.DataFrame` like that of `evaluate`, with columns rule and
        rate; the optimizer's name is both, such as `"adam 0.005"`.
    """
    import pandas

    contenders = {rule: of_rule(rule, rate) for rule, rate in rates.items()}
    problem = _prepared(problem, options)
    return pandas.concat(
        [
            evaluate(
                contenders[rule],
                problem,
                directory=directory
                and pathlib.Path(directory, "baselines", f"{rule}-{rate:g}"),
                **options,
            )
            for rule, rate in rates.items()
        ],
        ignore_index=True,
    )


def _prepared(problem, options):
    """The problem, loaded once; its own options are taken out."""
    names = ("dataset", "batch_size", "examples")
    own = {name: options.pop(name, None) for name in names}
    return Protocol(**own).prepared(problem)


def oracle(frame, pool=None):
    """The tuned rule that did best on a problem, by validation loss.

    The search says each rule's best rate, of few and short runs; which rule is
    the best, their runs as baselines say. A rule with a run that diverged
    counts as infinitely bad.

    Args:
        frame: What `baselines` returned of rules at their tuned rates, on one
            problem, or `collection.collect` has read.
        pool: Names of rules. Defaults to all in the frame.

    Returns:
        A pair: the rule's name and its rate.
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
