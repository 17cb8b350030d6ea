"""What the page shows of a run of meta-training."""

import csv
import math
import pathlib
from typing import Any

import numpy as np

from keras_l2o.dashboard import curves
from keras_l2o.strategies import RunDirectory
from keras_l2o.strategies import RunError

#: The student's figure in `summary.csv`, and those of its replicates.
VALIDATION = "val_log_loss"
REPLICATE = f"{VALIDATION}_replicate_"
#: Most points of the losses by outer step.
POINTS = 60


def entry(directory: pathlib.Path) -> dict[str, Any]:
    """The periods of a run, as far as it is.

    Args:
        directory: Path of the run's directory.

    Returns:
        Dict that JSON can hold: `student` and `teachers`, names; by finished
        period, `validation`, a list of the median, the least and the greatest
        of the replicates, `teachers_validation`, a list by teacher, `stage`,
        `kept` and `seconds`; and `outer`, the meta loss by outer step.

    Raises:
        RunError: A file of the run is damaged.
    """
    run = RunDirectory(directory)
    config = run.config()["run"]
    rows = run.rows()
    names = dict.fromkeys(name for row in rows for name in row.figures)
    teachers = [
        name.removeprefix("val_").removesuffix("_log_loss")
        for name in names
        if name.startswith("val_")
        and name.endswith("_log_loss")
        and name != VALIDATION
    ]
    students = _students(rows, names)
    return {
        "student": _student(config),
        "teachers": teachers,
        "periods": len(rows),
        "stage": [row.period.stage for row in rows],
        "kept": [row.kept for row in rows],
        "validation": curves.band(students) if rows else [],
        "teachers_validation": [
            curves.numbers(_column(rows, f"val_{name}_log_loss"))
            for name in teachers
        ],
        "best": curves.number(_best(rows)),
        "seconds": curves.number(math.fsum(row.seconds for row in rows)),
        "outer": _outer(directory, rows),
    }


def _column(rows, name):
    return [row.figures.get(name, math.nan) for row in rows]


def _students(rows, names):
    own = [name for name in names if name.startswith(REPLICATE)]
    if own:
        return np.array([_column(rows, name) for name in own])
    return np.array([[row.validation for row in rows]])


def _best(rows):
    kept = [row.validation for row in rows if row.kept]
    kept = [value for value in kept if math.isfinite(value)]
    return min(kept, default=None)


def _student(config):
    """The student's name, from a run of the command line or of Python."""
    policy = config.get("policy") or config.get("student") or {}
    if not isinstance(policy, dict):
        return ""
    return str(policy.get("name") or policy.get("class_name") or "")


def _outer(directory, rows):
    """The meta loss by outer step, over all periods that were kept."""
    losses: list[float] = []
    for row in rows:
        path = directory / "logs" / f"{row.checkpoint}.csv"
        if row.kept and row.checkpoint and path.is_file():
            losses += _meta_losses(path)
    if not losses:
        return {"x": [], "y": []}
    x, means = curves.thinned(np.array([losses]), POINTS)
    return {"x": x.tolist(), "y": curves.numbers(means[0])}


def _meta_losses(path):
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    try:
        return [float(line["meta_loss"]) for line in lines]
    except (KeyError, TypeError, ValueError):
        return []  # of another version, or cut off


def is_run(directory: pathlib.Path) -> bool:
    """Whether a folder with a file `config.json` is a run's directory."""
    try:
        RunDirectory(directory).config()
    except RunError:
        return False
    return True
