"""Means, spreads and intervals over the runs of many replicates."""

import warnings
from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np

from keras_l2o.evaluation import reduction
from keras_l2o.typing import Tensor

if TYPE_CHECKING:
    import pandas

#: Standard deviation, in epochs, of the curve's smoothing.
SMOOTHING = 2.0


class Interval(NamedTuple):
    """A mean with its 95 % interval, and where the spread comes from.

    Attributes:
        mean: Float.
        low: Float. The interval's lower end.
        high: Float. The interval's upper end.
        meta: Float. Standard deviation between replicates. The part of it that
            comes from each replicate having few runs is subtracted. NaN for a
            single replicate.
        evaluation: Float. Standard deviation between the runs of one
            replicate. NaN if each replicate has a single run.
    """

    mean: float
    low: float
    high: float
    meta: float
    evaluation: float


def figures(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    """Reduces each run to a few figures.

    Args:
        frame: `pandas.DataFrame` as `evaluate` returns; several may be
            concatenated, with a column `replicate` for several replicates of
            an optimizer.

    Returns:
        A `pandas.DataFrame` with a row for each problem, optimizer, replicate
        and run: its seed; log_validation_loss and log_train_loss, the natural
        logarithms of the best losses of any epoch; accuracy, the best of any
        epoch; instability, how much the validation loss jumps from epoch to
        epoch: the standard deviation of its logarithm around a smoothed curve.
        For a run that diverged all of these are NaN.

    Example:

    >>> frame = keras_l2o.evaluation.collection.collect(
    ...     ["held_out/min-max"], "conv_fmnist")
    >>> figures = keras_l2o.evaluation.figures(frame)
    >>> len(figures)  # 8 replicates, 3 runs of each
    24
    """
    import pandas

    if "replicate" not in frame:
        frame = frame.assign(replicate=1)
    keys = ["problem", "optimizer", "replicate", "run"]
    found = reduction.of_runs(frame, keys)
    return pandas.DataFrame(
        {
            **found[[*keys, "seed"]],
            "log_validation_loss": _log(found["validation_loss"]),
            "log_train_loss": _log(found["best_train_loss"]),
            "accuracy": found["accuracy"],
            "instability": [
                _instability(run) for _, run in frame.groupby(keys, sort=False)
            ],
        }
    )


def _instability(run):
    if reduction.diverged(run):
        return float("nan")
    return optimization_stability(run.sort_values("epoch")["validation_loss"])


def _log(values):
    """Logarithms; of a loss of zero that of the least positive float32."""
    return np.log(np.maximum(values, np.finfo("float32").tiny))


def without_seeds(frame: "pandas.DataFrame", figure: str) -> "pandas.DataFrame":
    """Subtracts the effect that a seed has on all replicates from their runs.

    Args:
        frame: `pandas.DataFrame` that `figures` returned, of one problem.
        figure: String, the column.

    Returns:
        The frame, in which the column has the same mean for each seed; if not
        all replicates have the same seeds, the frame as it is.
    """
    table = frame.pivot_table(
        index=["optimizer", "replicate"], columns="seed", values="run",
        aggfunc="count",
    )  # fmt: skip
    if not (table == 1).to_numpy().all():
        return frame
    values = frame[figure].replace([np.inf, -np.inf], np.nan)
    effects = values.groupby(frame["seed"]).transform("mean") - values.mean()
    return frame.assign(**{figure: frame[figure] - effects})


def optimization_stability(validation_losses: Tensor) -> float:
    """How much a run's log validation loss jumps from epoch to epoch.

    The standard deviation of its distance from its Gaussian-smoothed curve.

    Args:
        validation_losses: Array `(epochs,)`. Values that are not finite are
            left out.

    Returns:
        Float; NaN if there are fewer than two epochs.
    """
    from scipy.ndimage import gaussian_filter1d

    losses = np.asarray(validation_losses, "float64")
    losses = losses[np.isfinite(losses)]
    if len(losses) < 2:
        return float("nan")
    logs = np.log(np.maximum(losses, np.finfo("float32").tiny))
    smooth = gaussian_filter1d(logs, SMOOTHING, mode="nearest")
    return float(np.std(logs - smooth))


def mixed_interval(values: Tensor, replicates: Tensor) -> Interval:
    """The mean over replicates, by a linear mixed-effects model.

    A run's value is the mean, plus the replicate's effect, plus the run's.
    Both effects are normal, and their variances are estimated by restricted
    maximum likelihood.

    Args:
        values: Array `(runs,)`, one value for each run of each replicate.
            Values that are not finite are left out.
        replicates: Array `(runs,)`, the replicate that each run belongs to.

    Returns:
        An `Interval`.

    Example:

    >>> interval = keras_l2o.evaluation.mixed_interval(
    ...     values=[1.0, 1.2, 1.9, 2.1, 3.1, 2.9],
    ...     replicates=[1, 1, 2, 2, 3, 3])
    >>> round(interval.mean, 2), round(interval.evaluation, 2)
    (2.03, 0.14)
    """
    values = np.asarray(values, "float64")
    replicates = np.asarray(replicates)
    finite = np.isfinite(values)
    values, replicates = values[finite], replicates[finite]
    names, counts = np.unique(replicates, return_counts=True)
    nan = float("nan")
    if not len(values):
        return Interval(nan, nan, nan, nan, nan)
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else nan
    if len(names) == 1:
        return _plain_interval(values, meta=nan, evaluation=spread)
    if counts.max() == 1:
        return _plain_interval(values, meta=spread, evaluation=nan)
    if spread == 0.0:
        mean = float(values[0])
        return Interval(mean, mean, mean, 0.0, 0.0)
    from statsmodels.regression.mixed_linear_model import MixedLM

    # The optimizer behind the model wants numbers of ordinary size.
    center = values.mean()
    model = MixedLM(
        (values - center) / spread, np.ones((len(values), 1)), replicates
    )
    with warnings.catch_warnings():
        # A variance of zero lies on the boundary, and is a fine estimate.
        warnings.simplefilter("ignore")
        try:
            result = model.fit(reml=True, method=["lbfgs", "powell"])
        except np.linalg.LinAlgError:
            # On the boundary there may be no gradient: powell needs none.
            result = model.fit(reml=True, method=["powell"])
    low, high = result.conf_int(alpha=0.05)[0]
    variance = float(np.asarray(result.cov_re)[0, 0])
    return Interval(
        float(center + spread * result.fe_params[0]),
        float(center + spread * low),
        float(center + spread * high),
        spread * float(np.sqrt(max(variance, 0.0))),
        spread * float(np.sqrt(result.scale)),
    )


def crossed_interval(
    values: Tensor, replicates: Tensor, seeds: Tensor
) -> tuple[float, float, float]:
    """The mean over replicates that all ran with the same few seeds.

    A run's value is the mean, plus an effect of the replicate, one of the seed
    and one of the run, all random. All replicates share a seed's luck: its
    data, and the run that they are compared with. So with three seeds the mean
    is not known better than from three numbers, however many replicates there
    are.

    Args:
        values: Array `(runs,)`, one value for each run of each replicate.
        replicates: Array `(runs,)`, the replicate that each run belongs to. A
            replicate without a finite value for each seed is left out.
        seeds: Array `(runs,)`, the seed of each run.

    Returns:
        Three floats: the mean, and the lower and upper end of its 95 %
        interval. NaN if no replicate is left, or the ends alone if there is
        only one run.

    Reference:
        - [Satterthwaite, 1946](https://doi.org/10.2307/3002019), for the
          degrees of freedom of the sum of the analysis of variance's parts
    """
    import pandas
    from scipy import stats

    frame = pandas.DataFrame({"value": values, "row": replicates, "run": seeds})
    frame["value"] = frame["value"].replace([np.inf, -np.inf], np.nan)
    table = frame.pivot(index="row", columns="run", values="value").dropna()
    rows, columns = table.shape
    if not rows:
        return (float("nan"),) * 3
    mean = float(table.to_numpy().mean())
    if min(rows, columns) == 1:
        single = _plain_interval(table.to_numpy().ravel(), None, None)
        return single.mean, single.low, single.high
    by_row = table.mean(axis=1).to_numpy() - mean
    by_column = table.mean(axis=0).to_numpy() - mean
    rest = table.to_numpy() - mean - by_row[:, None] - by_column
    freedom = np.array([rows - 1, columns - 1, (rows - 1) * (columns - 1)])
    squares = np.array(
        [
            columns * np.sum(by_row**2),
            rows * np.sum(by_column**2),
            np.sum(rest**2),
        ]
    )
    parts = squares / freedom * (1, 1, -1)
    # The estimate may be less than what a single part alone would give.
    total = max(parts.sum(), parts[0], parts[1])
    if total == 0.0:
        return mean, mean, mean
    degrees = total**2 / np.sum(parts**2 / freedom)
    half = float(
        stats.t.ppf(0.975, degrees) * np.sqrt(total / (rows * columns))
    )
    return mean, mean - half, mean + half


def spread_interval(values: Tensor, replicates: Tensor) -> tuple[float, float]:
    """The 95 % interval of the standard deviation between replicates.

    It is wide for few runs of few replicates. If it begins at zero, the
    replicates may be all alike. The model of a run's value is that of
    `mixed_interval`.

    Args:
        values: Array `(runs,)`, one value for each run of each replicate.
            Values that are not finite are left out.
        replicates: Array `(runs,)`, the replicate that each run belongs to.

    Returns:
        Two floats, the interval's lower and upper end; NaN for a single
        replicate. If replicates have different numbers of runs, the harmonic
        mean of these numbers is taken for each.

    Reference:
        - [Williams, 1962](https://doi.org/10.1093/biomet/49.1-2.278)
    """
    import pandas
    from scipy import stats

    values = pandas.Series(np.asarray(values, "float64"))
    values = values.replace([np.inf, -np.inf], np.nan)
    groups = values.groupby(np.asarray(replicates))
    means, counts = groups.mean().dropna(), groups.count()
    counts = counts[counts > 0]
    if len(means) < 2:
        return float("nan"), float("nan")
    size = len(counts) / (1.0 / counts).sum()
    between, within = len(means) - 1, int((counts - 1).sum())
    squares = size * between * means.var()
    bounds = []
    for probability in (0.975, 0.025):
        noise = 0.0
        if within:
            noise = groups.var().dropna() @ (counts[counts > 1] - 1) / within
            noise *= between * stats.f.ppf(probability, between, within)
        scale = size * stats.chi2.ppf(probability, between)
        bounds.append(float(np.sqrt(max(squares - noise, 0.0) / scale)))
    return bounds[0], bounds[1]


def _plain_interval(values, meta, evaluation):
    """Student's interval of a plain mean."""
    from scipy import stats

    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return Interval(mean, float("nan"), float("nan"), meta, evaluation)
    half = stats.t.ppf(0.975, count - 1) * np.std(values, ddof=1)
    half = float(half / np.sqrt(count))
    return Interval(mean, mean - half, mean + half, meta, evaluation)


def summary(
    frame: "pandas.DataFrame", figure: str = "log_validation_loss"
) -> "pandas.DataFrame":
    """Mean, spread, interval and stabilities of each optimizer.

    Args:
        frame: `pandas.DataFrame` that `figures` returned.
        figure: String, the column to sum up. Defaults to
            `"log_validation_loss"`.

    Returns:
        A `pandas.DataFrame` with a row for each problem and optimizer, and
        these columns: replicates and runs, their numbers; failed, the number
        of runs without a figure; mean; spread, the standard deviation over all
        runs; low and high, the ends of the mean's 95 % interval; and three
        stabilities, each a standard deviation: optimization (from epoch to
        epoch, the mean over runs), evaluation (between the runs of one
        replicate) and meta (between replicates), the last with the ends
        meta_low and meta_high of its 95 % interval.

    Example:

    >>> frame = keras_l2o.evaluation.collection.collect(
    ...     ["held_out/min-max"], "conv_fmnist")
    >>> row = keras_l2o.evaluation.summary(
    ...     keras_l2o.evaluation.figures(frame)).iloc[0]
    >>> print(f"{row['mean']:.2f} ({row['low']:.2f}, {row['high']:.2f})")
    -0.93 (-0.94, -0.92)
    """
    import pandas

    rows = []
    for key, group in frame.groupby(["problem", "optimizer"], sort=False):
        interval = mixed_interval(group[figure], group["replicate"])
        low, high = spread_interval(group[figure], group["replicate"])
        rows.append(
            {
                "problem": key[0],
                "optimizer": key[1],
                "replicates": group["replicate"].nunique(),
                "runs": len(group),
                "failed": int((~np.isfinite(group[figure])).sum()),
                "mean": interval.mean,
                "spread": group[figure].std(),
                "low": interval.low,
                "high": interval.high,
                "optimization": group["instability"].mean(),
                "evaluation": interval.evaluation,
                "meta": interval.meta,
                "meta_low": low,
                "meta_high": high,
            }
        )
    return pandas.DataFrame(rows)
