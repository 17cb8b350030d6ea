"""The results of a family's stored evaluations, for its model card."""

import math
import pathlib
from typing import TYPE_CHECKING
from typing import Any

from keras_l2o import extras
from keras_l2o.evaluation import held_out
from keras_l2o.evaluation import reduction
from keras_l2o.evaluation import search
from keras_l2o.evaluation.statistics import figures
from keras_l2o.hub import cards
from keras_l2o.typing import Path

if TYPE_CHECKING:
    import pandas


def results(frame: "pandas.DataFrame", directory: Path) -> dict[str, Any]:
    """The mean results of each replicate on each problem.

    Args:
        frame: `pandas.DataFrame` as `collection.collect` returns.
        directory: Path of the family's folder. If its parent folder has a
            search of the analytic rules on one of the problems, the result also
            says how far each replicate, and the family, is from the best tuned
            rule.

    Returns:
        Dict as in `hub.cards.Extras`.
    """
    result: dict[str, Any] = {}
    keys = ["replicate", "problem"]
    for (replicate, problem), runs in figures(frame).groupby(keys):
        numbers = runs[["log_validation_loss", "log_train_loss", "accuracy"]]
        result.setdefault(str(replicate), {})[problem] = {
            "runs": len(runs),
            **{
                key: float(value)
                for key, value in numbers.agg(reduction.whole_mean).items()
                # A problem without data has no accuracy. If a run has
                # diverged, the means are NaN.
                if math.isfinite(value)
            },
        }
    path = pathlib.Path(directory).resolve()
    problems = frame["problem"].unique()
    if any(search.path_in(path.parent, name).is_file() for name in problems):
        _add_distances(result, path)
    return result


def _add_distances(result, path):
    runs = held_out.distances(path.parent, path.name)
    for (replicate, problem), own in runs.groupby(["replicate", "problem"]):
        mean = reduction.whole_mean(own["log_validation_loss"])
        if math.isfinite(mean):
            numbers = result[str(replicate)][problem]
            numbers["log_loss_from_oracle"] = float(mean)
    shown = ("mean", "low", "high", "median", "best", "worst")
    result[cards.FAMILY] = {
        row["problem"]: {
            key: float(row[key]) for key in shown if math.isfinite(row[key])
        }
        for row in held_out.overview(runs).to_dict("records")
    }


def plot(frame: "pandas.DataFrame", folder: Path) -> None:
    """Draws the replicates' validation losses by epoch, a file per problem.

    Args:
        frame: `pandas.DataFrame` as `collection.collect` returns.
        folder: Path of the folder in which `<problem>.png` are written. It is
            created if it does not exist.

    Raises:
        keras_l2o.extras.MissingExtra: matplotlib is not installed.
    """
    extras.need("plots", "A picture")
    from matplotlib.figure import Figure

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for problem, runs in frame.groupby("problem"):
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for replicate, lines in runs.groupby("replicate"):
            losses = lines.groupby("epoch")["validation_loss"].mean()
            axes.plot(losses.index, losses, label=f"replicate {replicate}")
        axes.set(
            title=problem,
            xlabel="epoch",
            ylabel="validation loss",
            yscale="log",
        )
        axes.legend()
        figure.savefig(
            folder / f"{problem}.png", dpi=100, metadata={"Software": None}
        )
