"""Families of replicates beside tuned rules, from stored evaluations alone.

The directory has a folder for each family, with one for each replicate as
`collection.collect` reads them, and `baselines` and `gridsearch`, as the
commands of these names leave them.
"""

import pathlib

import numpy as np

from keras_l2o.evaluation import collection
from keras_l2o.evaluation import comparison
from keras_l2o.evaluation import search

#: The rule and rate that a speed-up is measured against, if it was tuned.
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
        `"rule"`), replicate, runs, train_loss of the last epoch,
        validation_loss and accuracy, the best of any epoch, all means over the
        runs; and of families speed_up over tuned Adam with low and high, its
        95 % interval. Rows are in order of validation loss.
    """
    import pandas

    directory = pathlib.Path(directory)
    tuned = search.best_rates(search.read(directory, problem))
    rows = []
    frame = _frame(directory / "baselines", problem)
    for name, runs in frame.groupby("optimizer", sort=False):
        rule, _, rate = name.partition(" ")
        best = tuned.get(rule) == float(rate)
        rows.append(
            {
                **_figures(runs),
                "name": f"{name}{', tuned' if best else ''}",
                "kind": "rule",
            }
        )
    reference = frame[frame["optimizer"] == f"{REFERENCE} {tuned[REFERENCE]:g}"]
    for family in families(directory):
        if not any((directory / family).glob(f"*/evaluations/{problem}.npz")):
            continue
        runs = _frame(directory / family, problem)
        rows += _family(family, runs, reference)
    result = pandas.DataFrame(rows)
    return result.sort_values("validation_loss", ignore_index=True)


def _frame(path, problem):
    return collection.collect([path], problem)


def _figures(runs):
    """Means over runs. A run that diverged makes them infinite."""
    keys = ["replicate", "run"]
    last = runs.sort_values("epoch").groupby(keys).tail(1)
    best = runs.groupby(keys)
    return {
        "runs": len(last),
        "train_loss": last["train_loss"].fillna(np.inf).mean(),
        "validation_loss": best["validation_loss"].min().fillna(np.inf).mean(),
        "accuracy": best["validation_accuracy"].max().mean(),
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


def cells(frame):
    """A `table` as texts: for each row a dict from a heading to its cell."""
    return [_cells(row) for row in frame.to_dict("records")]


def _cells(row):
    kind = "" if row["kind"] == "rule" else f" ({row['kind']})"
    accuracy, speed = row["accuracy"], row.get("speed_up", np.nan)
    return {
        "optimizer": row["name"] + kind,
        "runs": str(row["runs"]),
        "train loss": f"{row['train_loss']:.4g}",
        "val. loss": f"{row['validation_loss']:.4g}",
        "accuracy": "" if np.isnan(accuracy) else f"{100 * accuracy:.1f} %",
        "speed-up": ""
        if np.isnan(speed)
        else f"{speed:.2f} ({row['low']:.2f}, {row['high']:.2f})",
    }


def markdown(tables):
    """Tables as Markdown.

    Args:
        tables: Dict from a problem to its `cells`.
    """
    parts = []
    for problem, rows in tables.items():
        lines = [f"### {problem}", "", _line(rows[0])]
        lines.append(_line(["---"] + ["---:"] * (len(rows[0]) - 1)))
        lines += [_line(row.values()) for row in rows]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _line(texts):
    return f"| {' | '.join(texts)} |"
