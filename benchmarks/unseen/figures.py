"""Figures of stored runs: losses, ratios, steps, means and intervals."""

import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from keras_l2o.evaluation import storage
from keras_l2o.evaluation.comparison import interquartile_mean
from keras_l2o.evaluation.comparison import steps_to_reach

#: What a contender's losses are divided by.
REFERENCE = "adamw_cosine/tuned"
#: Whom every contender is compared with, if they have run.
RIVALS = (
    REFERENCE,
    "adamw_cosine/single",
    "adam/tuned",
    "muon_cosine/default",
    "schedule_free/default",
)
#: Resamples of an interval.
RESAMPLES = 2000
#: Factors of a performance profile.
FACTORS = (1.0, 1.02, 1.05, 1.1, 1.2, 1.5, 2.0)


class Cell(NamedTuple):
    """The runs of one contender on one task, by seed.

    A run has diverged if a loss is not finite. Its losses are infinite here.

    Attributes:
        best: Array `(seeds,)`, the least validation losses.
        final: Array `(seeds,)`, the validation losses after the last step.
        train: Array `(seeds,)`, means of the training losses of the last tenth
            of the steps.
        curves: Array `(seeds, points)`, the validation losses.
        diverged: Int, the number of runs that have.
    """

    best: np.ndarray
    final: np.ndarray
    train: np.ndarray
    curves: np.ndarray
    diverged: int


def cell(stored: storage.Evaluation) -> Cell:
    """The figures of a stored evaluation."""
    losses = np.asarray(stored.arrays["losses"], "float64")
    curves = np.asarray(stored.arrays["validation_loss"], "float64")
    whole = np.isfinite(losses).all(axis=1) & np.isfinite(curves).all(axis=1)
    last = max(1, losses.shape[1] // 10)

    def of_whole(values):
        return np.where(whole, values, np.inf)

    return Cell(
        of_whole(curves.min(axis=1)),
        of_whole(curves[:, -1]),
        of_whole(losses[:, -last:].mean(axis=1)),
        np.where(whole[:, None], curves, np.inf),
        int((~whole).sum()),
    )


def read(directory: pathlib.Path, seeds: int) -> dict[str, dict[str, Cell]]:
    """The complete cells of a directory, by contender and by task.

    Args:
        directory: Path of the folder of one number of steps.
        seeds: Int. A cell with fewer runs is left out; of one with more, the
            first are taken.
    """
    cells: dict[str, dict[str, Cell]] = {}
    for path in sorted(directory.rglob("evaluations/*.npz")):
        stored = storage.read(path)
        if stored.runs >= seeds:
            name = path.parent.parent.relative_to(directory).as_posix()
            cells.setdefault(name, {})[path.stem] = cell(stored.first(seeds))
    return cells


def log_ratios(cell: Cell, reference: Cell, figure: str) -> np.ndarray:
    """Logarithms of a contender's losses over the reference's, by seed.

    A run that diverged has infinity; if the reference's did, its opponent has
    minus infinity, and both of them zero.

    Args:
        cell: `Cell` of the contender.
        reference: `Cell` of the reference.
        figure: String, `"best"`, `"final"` or `"train"`.
    """
    own, other = (np.log(getattr(c, figure)) for c in (cell, reference))
    both = np.isinf(own) & np.isinf(other)
    return np.where(both, 0.0, own - np.where(both, 0.0, other))


def reached(cell: Cell, reference: Cell) -> np.ndarray:
    """Share of the steps until a run is where the reference ends, by seed.

    Infinite for a run that never gets there. Between two validations a loss
    counts as straight.
    """
    points = cell.curves.shape[1]
    return np.array(
        [
            steps_to_reach(curve, end) / points
            for curve, end in zip(cell.curves, reference.final)
        ]
    )


def speed_ups(cell: Cell, reference: Cell) -> np.ndarray:
    """How many times sooner a run is where the reference ends, by seed.

    Zero for a run that never gets there.

    Reference:
        - [Moudgil et al., 2025](https://arxiv.org/abs/2501.12670)
    """
    shares = reached(cell, reference)
    # A validation is at least one of the points.
    return 1.0 / np.maximum(shares, 1.0 / cell.curves.shape[1])


def interval(by_task: Mapping[str, np.ndarray]) -> tuple[float, float, float]:
    """Interquartile mean over all runs, with its 95 % interval.

    The interval is a bootstrap that draws runs within each task.

    Args:
        by_task: Dict from tasks to arrays `(seeds,)`.

    Returns:
        Three floats: the mean, and the lower and upper end.

    Reference:
        - [Agarwal et al., 2021](https://arxiv.org/abs/2108.13264)
    """
    rng = np.random.default_rng(0)
    rows = list(by_task.values())
    means = [
        interquartile_mean(
            np.concatenate([rng.choice(row, len(row)) for row in rows])
        )
        for _ in range(RESAMPLES)
    ]
    # Of infinite means, too, and so without interpolation.
    low, high = np.quantile(means, [0.025, 0.975], method="nearest")
    return interquartile_mean(np.concatenate(rows)), float(low), float(high)


def profile(
    cells: Mapping[str, Mapping[str, Cell]],
) -> dict[str, tuple[float, ...]]:
    """Share of tasks on which a contender is near the best, by factor.

    A task counts for those contenders that have run it; its best is the least
    geometric mean over seeds of the best validation losses of any of them.

    Args:
        cells: Dict of dicts, as `read` returns.

    Returns:
        Dict from contenders to shares, one for each of `FACTORS`.

    Reference:
        - [Dolan and More, 2002](https://doi.org/10.1007/s101070100263)
    """
    means = {
        name: {task: np.log(c.best).mean() for task, c in row.items()}
        for name, row in cells.items()
    }
    least: dict[str, float] = {}
    for row in means.values():
        for task, mean in row.items():
            least[task] = min(mean, least.get(task, np.inf))
    return {
        name: tuple(
            float(
                np.mean(
                    [
                        np.isfinite(mean)
                        and mean <= least[task] + np.log(factor) + 1e-9
                        for task, mean in row.items()
                    ]
                )
            )
            for factor in FACTORS
        )
        for name, row in means.items()
    }
