"""The results of a family's stored evaluations, for its model card."""

import math
import pathlib
from typing import TYPE_CHECKING
from typing import Any

from keras_l2o.evaluation import collection
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
        directory: Path of the family's folder, of which the frame is. If its
            parent folder has a search of the analytic rules on one of the
            problems, the result also says how far each replicate, and the
            family, is from the best tuned rule.

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
    datasets = {
        stored.settings["problem"]: stored.settings.get("dataset")
        for stored in collection.evaluations([directory])
    }
    # A function has no data.
    datasets = {k: v for k, v in datasets.items() if v not in (None, "none")}
    if datasets:
        result[cards.DATASETS] = datasets
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
