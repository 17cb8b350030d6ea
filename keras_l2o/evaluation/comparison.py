"""One optimizer beside another: the oracle, and the speed-up over Adam."""

from typing import NamedTuple

import numpy as np

from keras_l2o.evaluation import reduction


class OracleComparison(NamedTuple):
    """The best replicate beside the oracle, by mean log validation loss.

    Attributes:
        replicate: The best replicate.
        mean, oracle_mean: Floats.
        difference: Float, `mean - oracle_mean`: negative if the replicate is
            better.
        low, high: Floats. Welch's 95 % interval of the difference.
    """

    replicate: int
    mean: float
    oracle_mean: float
    difference: float
    low: float
    high: float


def against_oracle(figures, oracle_figures, figure="log_validation_loss"):
    """Compares the best replicate of an optimizer with the oracle.

    Args:
        figures: What `statistics.figures` returned of one optimizer's
            replicates on one problem.
        oracle_figures: The same of the oracle's runs on it.
        figure: Column to compare; less is better. Defaults to
            `"log_validation_loss"`.

    Returns:
        An `OracleComparison`. The replicate is chosen by the same runs that
        it is then judged by, as in the paper, which favours it a little. One
        with a run that failed is not chosen; of the oracle's runs, those that
        failed are left out.
    """
    from scipy import stats

    losses = figures.groupby("replicate")[figure]
    means = losses.agg(reduction.compared_mean)
    if not np.isfinite(means).any():
        raise ValueError("Each replicate has a run that failed.")
    best = means.idxmin()
    ours = figures.loc[figures["replicate"] == best, figure]
    theirs = oracle_figures[figure].dropna()
    low = high = float("nan")
    if len(ours) > 1 and len(theirs) > 1:
        test = stats.ttest_ind(ours, theirs, equal_var=False)
        interval = test.confidence_interval(0.95)
        low, high = float(interval.low), float(interval.high)
    return OracleComparison(
        int(best),
        float(ours.mean()),
        float(theirs.mean()),
        float(ours.mean() - theirs.mean()),
        low,
        high,
    )


class SpeedUp(NamedTuple):
    """How many times fewer steps an optimizer needs than the reference.

    Attributes:
        mean: Float, the interquartile mean over the runs.
        low, high: Floats, its 95 % bootstrap interval.
        reached: Float, the share of runs that reach the reference's loss.
        ratios: Array `(runs,)`, the speed-up of each run.
    """

    mean: float
    low: float
    high: float
    reached: float
    ratios: np.ndarray


def speed_up(curves, reference, replicates=None, samples=2000, seed=0):
    """Speed-up over a reference such as tuned Adam, run by run.

    Each run is paired with the reference's run of the same seed: the steps in
    which the reference reaches its best loss, over those in which the run
    does. A run that never reaches it, or that diverged, counts as a speed-up
    of 0, infinitely slow, and stays in the mean. Of a reference's run that
    diverged the best loss is that of before, which favours the reference.

    Args:
        curves: Array `(runs, points)` of losses at equal steps, such as the
            validation losses by epoch. NaN after a divergence.
        reference: Array `(runs, points)`, the reference's on the same seeds.
        replicates: Array `(runs,)`, which replicate each run is of: the
            bootstrap then draws replicates first and runs within them.
            Defaults to one replicate.
        samples: Int. Bootstrap samples. Defaults to `2000`.
        seed: Int. Of the bootstrap. Defaults to `0`.

    Returns:
        A `SpeedUp`.

    Reference:
        - [Agarwal et al., 2021](https://arxiv.org/abs/2108.13264)
    """
    curves, reference = (np.asarray(a, "float64") for a in (curves, reference))
    if curves.ndim != 2 or len(curves) != len(reference):
        raise ValueError(
            "Arguments `curves` and `reference` must have the same runs, one "
            f"a row. Received: shapes {curves.shape} and {reference.shape}"
        )
    ratios = np.array(
        [_ratio(ours, theirs) for ours, theirs in zip(curves, reference)]
    )
    if replicates is None:
        replicates = np.zeros(len(ratios), int)
    groups = [
        ratios[np.asarray(replicates) == name] for name in np.unique(replicates)
    ]
    rng = np.random.default_rng(seed)
    means = [interquartile_mean(_resample(groups, rng)) for _ in range(samples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return SpeedUp(
        interquartile_mean(ratios),
        float(low),
        float(high),
        float(np.mean(ratios > 0)),
        ratios,
    )


def paired_curves(frame, reference, column="validation_loss"):
    """Takes the curves that `speed_up` compares out of two frames.

    Args:
        frame, reference: `pandas.DataFrame`s as `evaluate` returns, of one
            problem; the first may have a column `replicate`. Each seed of the
            first must be in the second.
        column: Defaults to `"validation_loss"`.

    Returns:
        Arrays `(runs, epochs)` of both and `(runs,)` of the replicates: the
        first three arguments of `speed_up`.
    """
    if "replicate" not in frame:
        frame = frame.assign(replicate=1)
    ours = frame.set_index(["replicate", "seed", "step"])[column]
    ours = ours.unstack("step").sort_index()
    theirs = reference.set_index(["seed", "step"])[column].unstack("step")
    seeds = ours.index.get_level_values("seed")
    missing = sorted(set(seeds) - set(theirs.index))
    if missing or list(ours.columns) != list(theirs.columns):
        raise ValueError(
            "Arguments `frame` and `reference` must have the same seeds and "
            "steps. Received: a reference without the seeds "
            f"{missing or 'none'} and with {len(theirs.columns)} epochs "
            f"instead of {len(ours.columns)}"
        )
    return (
        ours.to_numpy(),
        theirs.loc[seeds].to_numpy(),
        ours.index.get_level_values("replicate").to_numpy(),
    )


def _ratio(curve, reference):
    if not np.isfinite(reference).any():
        raise ValueError(
            "Each run of argument `reference` must have a finite loss."
        )
    if not np.isfinite(curve).all():
        return 0.0
    target = np.nanmin(reference)
    steps = steps_to_reach(reference, target)
    return steps / steps_to_reach(curve, target)


def steps_to_reach(curve, target):
    """Points until a curve is at a loss or below it.

    Between two points the curve counts as straight: a convex one is there
    earlier. Infinite if the curve never gets there.
    """
    curve = np.asarray(curve, "float64")
    reached = np.flatnonzero(curve <= target)
    if not len(reached):
        return float("inf")
    point = int(reached[0])
    if point == 0 or not np.isfinite(curve[point - 1]):
        return point + 1.0
    above, below = curve[point - 1] - target, target - curve[point]
    return point + above / (above + below)


def _resample(groups, rng):
    chosen = rng.integers(len(groups), size=len(groups))
    return np.concatenate(
        [rng.choice(groups[g], size=len(groups[g])) for g in chosen]
    )


def interquartile_mean(values):
    """Mean of the middle half of the values."""
    from scipy import stats

    return float(stats.trim_mean(values, 0.25))
