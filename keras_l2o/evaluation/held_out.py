"""Families of replicates beside tuned rules, from stored evaluations alone.

The directory has a folder for each family, with one for each replicate as
`collection.collect` reads them, and `baselines` and `gridsearch`, as the
commands of these names leave them.
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


def problems(directory):
    """Names of the problems that a search of the rules was made on."""
    folder = pathlib.Path(directory, "gridsearch")
    found = sorted(path.stem for path in folder.glob("*.csv"))
    if not found:
        raise ValueError(
            f"There is no search in {folder}. `keras-l2o gridsearch "
            f"--problem=conv_fmnist --directory={directory}` makes one."
        )
    return found


def families(directory):
    """Names of the families whose replicates were evaluated."""
    return sorted(
        path.name
        for path in pathlib.Path(directory).iterdir()
        if path.is_dir() and any(path.glob("[0-9]*/evaluations/*.npz"))
    )


def table(directory, problem):
    """What each family and each rule comes to on a problem.

    Args:
        directory: Path.
        problem: Name, one of `problems(directory)`.

    Returns:
        A `pandas.DataFrame` with a row for each family (of its median
        replicate and its best, by validation loss), each tuned rule, and every
        other baseline that was evaluated: name, kind (`"median"`, `"best"`,
        `"rule"`); of rules rule, rate and whether it is tuned, of families
        family and replicate; runs, train_loss of the last epoch,
        validation_loss and accuracy, the best of any epoch, all means over the
        runs, of which one that diverged leaves losses infinite and no
        accuracy; and of families speed_up over tuned Adam with low and high,
        its 95 % interval, if the search tuned Adam. Rows are in order of
        validation loss.
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
    """Runs of the rules, and whether each is at its rule's tuned rate."""
    best = search.best_rates(search.read(directory, problem))
    frame = _frame(pathlib.Path(directory, "baselines"), problem)
    # Other optimizers may lie there, too: they have neither rule nor rate.
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
        problem: Name, one of `problems(directory)`.

    Returns:
        A `pandas.DataFrame` as `search.baselines` returns.
    """
    frame = _baselines(directory, problem)
    tuned = frame[frame["tuned"]]
    if tuned.empty:
        raise ValueError(
            f"No rule was run on {problem} at its tuned rate. `keras-l2o "
            f"baseline --problem={problem} --directory={directory} "
            "--rates=tuned` does."
        )
    rule, rate = search.oracle(tuned)
    return tuned[(tuned["rule"] == rule) & (tuned["rate"] == rate)]


def overview(runs):
    """How far each family is from the oracle, the best tuned rule.

    Distances are of the logarithms of a run's best validation loss, to that
    of the oracle's run with the same seed: below zero is better.

    Args:
        runs: What `distances` returned.

    Returns:
        A `pandas.DataFrame` with a row for each family and problem: family,
        problem, runs, failed (runs without a figure); the mean over all
        replicates that never failed with low and high, its 95 % interval over
        replicates and seeds, see `statistics.crossed_interval`; median, best
        and worst, the means of these replicates, infinite of one with a run
        that failed; and between, the standard deviation of the means of
        replicates that never failed.
    """
    import pandas

    rows = []
    for (family, problem), own in runs.groupby(["optimizer", "problem"]):
        mean, low, high = statistics.crossed_interval(
            own["log_validation_loss"], own["replicate"], own["seed"]
        )
        # A replicate with a run that failed is the worst.
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
    """How far a family is from each of the others, problem by problem.

    Runs are paired by replicate and seed, so that the luck which all
    optimizers share on a seed, and the oracle's, take no part.

    Args:
        runs: What `distances` returned.
        family: Name of the family.

    Returns:
        A `pandas.DataFrame` with a row for each other family and problem that
        both were run on: family, problem, and the mean of the family's log
        loss less the other's, with low and high, its 95 % interval over
        replicates and seeds. Below zero the family is better.
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
    """All replicates, the best first.

    The rule: the mean distance from the oracle, as in `overview`, over all
    classifiers. A replicate with a run that failed, or without runs on one of
    them, is left out.

    Args:
        runs: What `distances` returned.

    Returns:
        A `pandas.DataFrame` with a row for each replicate: name, distance,
        and a column for each problem.
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
    """The figures of each run of each family, with losses from the oracle's.

    Args:
        directory: Path.
        family: Name of the only family to read. Defaults to all.

    Returns:
        A `pandas.DataFrame` as `statistics.figures` returns, with the families
        as optimizers. From log_validation_loss that of the oracle's run with
        the same seed is taken off.
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
            f"No family in {directory} was run on what the rules were: "
            f"{searched}. `keras-l2o evaluate --family=min-max "
            f"--directory={directory} --problem={searched}` does."
        )
    return pandas.concat(frames, ignore_index=True)


def _families(directory, problem, only=None):
    """Pairs of a family that was run on the problem, and its runs."""
    for family in families(directory) if only is None else [only]:
        folder = directory / family
        if any(folder.glob(f"*/evaluations/{problem}.npz")):
            yield family, _frame(folder, problem)


def _frame(path, problem):
    return collection.collect([path], problem)


def _figures(runs):
    """Means over runs. A run that diverged makes them infinite."""
    found = reduction.of_runs(runs, ["replicate", "run"])
    return {
        "runs": len(found),
        "train_loss": reduction.compared_mean(found["train_loss"]),
        "validation_loss": reduction.compared_mean(found["validation_loss"]),
        "accuracy": reduction.whole_mean(found["accuracy"]),
    }


def _family(family, runs, reference):
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
    """Of all replicates' runs over the reference's of the same seeds."""
    if reference.empty:
        return {}
    found = comparison.speed_up(*comparison.paired_curves(runs, reference))
    return {"speed_up": found.mean, "low": found.low, "high": found.high}
