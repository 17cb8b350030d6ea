"""Compares families of replicates with tuned rules, on stored evaluations.

Nothing is trained here. The `directory` that the functions take has

- `<family>/<replicate>/evaluations/<problem>.npz`, as `keras-l2o evaluate`
  stores them;
- the folder `baselines` of `keras-l2o baseline`, and the folder `gridsearch` of
  `keras-l2o gridsearch`.

The oracle of a problem is the rule that does best on it, at the rate that the
search has found for the rule.
"""

import pathlib

import numpy as np

from keras_l2o.evaluation import collection
from keras_l2o.evaluation import comparison
from keras_l2o.evaluation import reduction
from keras_l2o.evaluation import search
from keras_l2o.evaluation import statistics

#: The rule that a speed-up is measured against, at its tuned rate.
REFERENCE = "adam"
#: The rate that Keras's Adam has if none is given.
DEFAULT_RATE = 1e-3


def problems(directory):
    """The problems for which the best rates of the rules were searched.

    Args:
        directory: Path.

    Returns:
        List of the problems' names, sorted.

    Raises:
        ValueError: The directory has no search.
    """
    folder = pathlib.Path(directory, "gridsearch")
    found = sorted(path.stem for path in folder.glob("*.csv"))
    if not found:
        raise ValueError(
            f"There is no search in {folder}. Make one with `keras-l2o "
            f"gridsearch --problem=conv_fmnist --directory={directory}`."
        )
    return found


def families(directory):
    """The families whose replicates were evaluated.

    Args:
        directory: Path.

    Returns:
        List of the families' names, sorted.
    """
    return sorted(
        path.name
        for path in pathlib.Path(directory).iterdir()
        if path.is_dir() and any(path.glob("[0-9]*/evaluations/*.npz"))
    )


def table(directory, problem):
    """The mean results of each family and each rule on a problem.

    Args:
        directory: Path.
        problem: String, one of `problems(directory)`.

    Returns:
        A `pandas.DataFrame` with two rows for each family, its median and its
        best replicate by validation loss, and one for each rule and rate that
        was evaluated. Rows are in the order of validation_loss. The columns:

        - name; kind: `"median"`, `"best"` or `"rule"`.
        - rule, rate, and tuned, whether the search has found this rate.
          Families have no rule and no rate.
        - family, replicate. Rules have none.
        - runs, the number of runs; and means over these: train_loss after the
          last epoch; validation_loss and accuracy, a run's best of any epoch.
          If a run diverged, the losses are infinite and accuracy is NaN.
        - speed_up of the family over tuned Adam, and low and high, its 95 %
          interval; of the median replicate only, and only if the search has
          tuned Adam.
    """
    import pandas

    directory = pathlib.Path(directory)
    frame = _baselines(directory, problem)
    rows = [_rule(runs) for _, runs in frame.groupby("optimizer", sort=False)]
    reference = frame[frame["tuned"] & (frame["rule"] == REFERENCE)]
    for family, runs in _families(directory, problem):
        rows += _family(family, runs, reference)
    result = pandas.DataFrame(rows)
    return result.sort_values("validation_loss", ignore_index=True)


def _baselines(directory, problem):
    """Runs of the rules; `tuned` says whether the rate is the search's."""
    best = search.best_rates(search.read(directory, problem))
    frame = _frame(pathlib.Path(directory, "baselines"), problem)
    # Runs of other optimizers may be there, too, without a rule and a rate.
    columns = dict.fromkeys([*frame.columns, "rule", "rate"])
    frame = frame.reindex(columns=list(columns))
    tuned = frame["rule"].map(best) == frame["rate"]
    return frame.assign(tuned=tuned)


def _rule(runs):
    """The row of a `table` for one rule at one rate."""
    first = runs.iloc[0]
    return {
        **_figures(runs),
        "name": first["optimizer"] + ", tuned" * bool(first["tuned"]),
        "kind": "rule",
        **first[["rule", "rate", "tuned"]],
    }


def oracle_runs(directory, problem):
    """The runs of the oracle, the tuned rule that does best on a problem.

    Args:
        directory: Path.
        problem: String, one of `problems(directory)`.

    Returns:
        A `pandas.DataFrame` as `search.baselines` returns.

    Raises:
        ValueError: No rule was run at the rate that the search has found.
    """
    frame = _baselines(directory, problem)
    tuned = frame[frame["tuned"]]
    if tuned.empty:
        raise ValueError(
            f"No rule was run on {problem} at its tuned rate. Do so with "
            f"`keras-l2o baseline --problem={problem} "
            f"--directory={directory} --rates=tuned`."
        )
    rule, rate = search.oracle(tuned)
    return tuned[(tuned["rule"] == rule) & (tuned["rate"] == rate)]


def rule_runs(directory, problem):
    """The runs of the rules that a family is drawn beside.

    Args:
        directory: Path.
        problem: String.

    Returns:
        Dict from labels to `pandas.DataFrame` as `search.baselines` returns:
        of the oracle, and of Adam at its tuned rate and at Keras's default. It
        is empty if no search on the problem is stored, and what was not run is
        not in it.
    """
    if not search.path_in(directory, problem).is_file():
        return {}
    frame = _baselines(directory, problem)
    adam = frame["rule"] == REFERENCE
    found = {
        "{}, best tuned rule": oracle_runs(directory, problem),
        "{}, tuned": frame[frame["tuned"] & adam],
        "{}, Keras's default": frame[adam & (frame["rate"] == DEFAULT_RATE)],
    }
    runs = {}
    for label, own in found.items():
        name = own["optimizer"].iloc[0] if len(own) else None
        if name is not None and not any(key.startswith(name) for key in runs):
            runs[label.format(name)] = own
    return runs


def overview(runs):
    """How far each family is from the oracle, the best tuned rule.

    The distance of a run is the log of its best validation loss, minus that of
    the oracle's run with the same seed. If it is negative, the run is better. A
    run that diverged has failed: it has no distance.

    Args:
        runs: `pandas.DataFrame` as `distances` returns.

    Returns:
        A `pandas.DataFrame` with a row for each family and problem. Columns:

        - family, problem.
        - runs, failed: the number of runs, and of those that failed.
        - mean, the mean distance over replicates without a failed run; low and
          high, its 95 % interval over replicates and seeds, see
          `statistics.crossed_interval`.
        - median, best, worst: the mean distance of the replicate that is in the
          middle, first or last. A replicate with a failed run comes last, and
          its distance is infinite.
        - between, the standard deviation of the mean distances of replicates
          without a failed run.
    """
    import pandas

    rows = []
    for (family, problem), own in runs.groupby(["optimizer", "problem"]):
        mean, low, high = statistics.crossed_interval(
            own["log_validation_loss"], own["replicate"], own["seed"]
        )
        # Infinite for a replicate with a failed run, which is then the worst.
        losses = own.groupby("replicate")["log_validation_loss"]
        means = losses.agg(reduction.compared_mean).sort_values()
        rows.append(
            {
                "family": family,
                "problem": problem,
                "runs": len(own),
                "failed": int((~np.isfinite(own["log_validation_loss"])).sum()),
                "mean": mean,
                "low": low,
                "high": high,
                "median": means.iloc[(len(means) - 1) // 2],
                "best": means.iloc[0],
                "worst": means.iloc[-1],
                "between": means[np.isfinite(means)].std(),
            }
        )
    return pandas.DataFrame(rows)


def differences(runs, family):
    """How far a family is from each of the other families, by problem.

    Runs are paired by replicate and seed. Whatever all optimizers share on a
    seed, such as an easy split of the data, and the loss of the oracle are the
    same for both runs of a pair and cancel out.

    Args:
        runs: `pandas.DataFrame` as `distances` returns.
        family: String, the family's name.

    Returns:
        A `pandas.DataFrame` with a row for each other family and problem that
        both families were run on: family, the other's name; problem; mean, the
        mean over pairs of the family's log validation loss minus the other's;
        low and high, its 95 % interval over replicates and seeds. If mean is
        negative, the family is better than the other.
    """
    import pandas

    keys = ["problem", "replicate", "seed"]
    losses = runs.set_index(["optimizer", *keys])["log_validation_loss"]
    losses = losses.unstack("optimizer")
    rows = []
    for other in losses.columns.drop(family):
        found = (losses[family] - losses[other]).rename("value").reset_index()
        for problem, own in found.groupby("problem"):
            mean, low, high = statistics.crossed_interval(
                own["value"], own["replicate"], own["seed"]
            )
            if np.isfinite(mean):
                rows.append(
                    {
                        "family": other,
                        "problem": problem,
                        "mean": mean,
                        "low": low,
                        "high": high,
                    }
                )
    return pandas.DataFrame(rows)


def ranking(runs):
    """All replicates of all families, the best first.

    They are ranked by the mean over problems of their distance from the oracle,
    as in `overview`. Only problems with a validation accuracy, the classifiers,
    count. A replicate that has a failed run, or none, on one of these problems
    is left out.

    Args:
        runs: `pandas.DataFrame` as `distances` returns.

    Returns:
        A `pandas.DataFrame` with a row for each replicate: name, such as
        `"min-max/1"`; distance; and for each problem a column with its name and
        the distance on it.
    """
    classified = runs.groupby("problem")["accuracy"].transform("count") > 0
    runs = runs[classified]
    runs = runs.assign(
        name=runs["optimizer"] + "/" + runs["replicate"].astype(str)
    )
    losses = runs.groupby(["name", "problem"])["log_validation_loss"]
    means = losses.agg(reduction.compared_mean).unstack()
    means = means[np.isfinite(means).all(axis=1)]
    means.insert(0, "distance", means.mean(axis=1))
    return means.sort_values("distance").reset_index()


def distances(directory, family=None):
    """The figures of each run of each family, relative to the oracle's loss.

    Args:
        directory: Path.
        family: String, the name of the only family to read. Defaults to `None`:
            all families.

    Returns:
        A `pandas.DataFrame` as `statistics.figures` returns, with the family's
        name in the column `optimizer`. The column `log_validation_loss` is the
        run's own value minus that of the oracle's run with the same seed.

    Raises:
        ValueError: No family was run on a problem with a search, or the oracle
            was not run.
    """
    import pandas

    directory = pathlib.Path(directory)
    frames = []
    for problem in problems(directory):
        found = [frame for _, frame in _families(directory, problem, family)]
        if not found:
            continue
        reference = statistics.figures(oracle_runs(directory, problem))
        reference = reference.set_index("seed")["log_validation_loss"]
        for frame in found:
            runs = statistics.figures(frame)
            runs["log_validation_loss"] -= runs["seed"].map(reference)
            frames.append(runs)
    if not frames:
        searched = ", ".join(problems(directory))
        raise ValueError(
            f"No family in {directory} was evaluated on the problems of the "
            f"search: {searched}. Evaluate one with `keras-l2o evaluate "
            f"--family=min-max --directory={directory} --problem={searched}`."
        )
    return pandas.concat(frames, ignore_index=True)


def _families(directory, problem, only=None):
    """Yields pairs of a family's name and its runs on the problem."""
    for family in families(directory) if only is None else [only]:
        folder = directory / family
        if any(folder.glob(f"*/evaluations/{problem}.npz")):
            yield family, _frame(folder, problem)


def _frame(path, problem):
    return collection.collect([path], problem)


def _figures(runs):
    """Dict of means over the runs; see `table` for runs that diverged."""
    found = reduction.of_runs(runs, ["replicate", "run"])
    return {
        "runs": len(found),
        "train_loss": reduction.compared_mean(found["train_loss"]),
        "validation_loss": reduction.compared_mean(found["validation_loss"]),
        "accuracy": reduction.whole_mean(found["accuracy"]),
    }


def _family(family, runs, reference):
    """The two rows of `table` for a family."""
    losses = {
        number: _figures(own)["validation_loss"]
        for number, own in runs.groupby("replicate")
    }
    order = sorted(losses, key=losses.get)
    chosen = {"best": order[0], "median": order[(len(order) - 1) // 2]}
    speed = _speed_up(runs, reference)
    rows = []
    for kind, number in chosen.items():
        own = runs[runs["replicate"] == number]
        rows.append(
            {
                "name": f"{family}/{number}",
                "family": family,
                "kind": kind,
                "tuned": False,
                "replicate": number,
                **_figures(own),
                **(speed if kind == "median" else {}),
            }
        )
    return rows


def _speed_up(runs, reference):
    """The speed-up of a family's runs over the reference's with equal seeds."""
    if reference.empty:
        return {}
    found = comparison.speed_up(*comparison.paired_curves(runs, reference))
    return {"speed_up": found.mean, "low": found.low, "high": found.high}
