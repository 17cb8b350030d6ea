"""One optimizer beside another: the oracle, and the speed-up over Adam."""

from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np

from keras_l2o.evaluation import reduction
from keras_l2o.typing import Tensor

if TYPE_CHECKING:
    import pandas


class OracleComparison(NamedTuple):
    """The best replicate beside the oracle, by mean log validation loss.

    Attributes:
        replicate: Int. Number of the best replicate.
        mean: Float. The replicate's mean over its runs.
        oracle_mean: Float. The oracle's mean over its runs.
        difference: Float, `mean - oracle_mean`: negative if the replicate is
            better.
        low: Float. Lower end of Welch's 95 % interval of the difference; NaN
            if one of the two has a single run.
        high: Float. Its upper end.
    """

    replicate: int
    mean: float
    oracle_mean: float
    difference: float
    low: float
    high: float


def against_oracle(
    figures: "pandas.DataFrame",
    oracle_figures: "pandas.DataFrame",
    figure: str = "log_validation_loss",
) -> OracleComparison:
    """Compares the best replicate of an optimizer with the oracle.

    The oracle is the best analytic rule at its tuned rate, see `oracle`.

    Args:
        figures: `pandas.DataFrame` that `figures` returned for the replicates
            of one optimizer on one problem.
        oracle_figures: The same for the oracle's runs on the problem.
        figure: String, the column to compare; less is better. Defaults to
            `"log_validation_loss"`.

    Returns:
        An `OracleComparison`. The best replicate is chosen by the same runs
        that it is then compared by, which favours it a little; the paper does
        the same. A replicate with a run that failed is not chosen; runs of the
        oracle that failed are left out.

    Raises:
        ValueError: Each replicate has a run that failed.

    Example:

    >>> from keras_l2o import evaluation
    >>> ours = evaluation.collection.collect(
    ...     ["held_out/min-max"], "conv_fmnist")
    >>> rules = evaluation.collection.collect(
    ...     ["held_out/baselines"], "conv_fmnist")
    >>> rule, rate = evaluation.oracle(rules)
    >>> oracle = rules[(rules["rule"] == rule) & (rules["rate"] == rate)]
    >>> found = evaluation.against_oracle(
    ...     evaluation.figures(ours), evaluation.figures(oracle))
    >>> found.replicate, round(found.difference, 2)
    (7, -0.06)

    Reference:
        - [Huang et al., 2022](https://arxiv.org/abs/2203.06474)
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
        low: Float, the lower end of its 95 % bootstrap interval.
        high: Float, the interval's upper end.
        reached: Float, the share of runs that reach the reference's loss.
        ratios: Array `(runs,)`, the speed-up of each run.
    """

    mean: float
    low: float
    high: float
    reached: float
    ratios: np.ndarray


def speed_up(
    curves: Tensor,
    reference: Tensor,
    replicates: Tensor | None = None,
    samples: int = 2000,
    seed: int = 0,
) -> SpeedUp:
    """How many times faster an optimizer is than a reference.

    Each run is paired with the reference's run of the same seed. Its speed-up
    is the number of steps in which the reference reaches its own best loss,
    divided by the number in which the run reaches that loss. A run that never
    reaches it, or that diverged, has a speed-up of 0 (infinitely slow) and
    stays in the mean. If the reference's run diverged, its best loss before
    that is taken, which favours the reference.

    Args:
        curves: Array `(runs, points)` of losses at equal steps, such as the
            validation losses by epoch. NaN after a divergence.
        reference: Array `(runs, points)`, the reference's losses on the same
            seeds.
        replicates: Array `(runs,)`, the replicate that each run belongs to:
            the bootstrap then draws replicates first and runs within them.
            Defaults to `None`, one replicate.
        samples: Int. Number of bootstrap samples. Defaults to `2000`.
        seed: Int. Seed of the bootstrap. Defaults to `0`.

    Returns:
        A `SpeedUp`.

    Raises:
        ValueError: The two arrays differ in their number of runs, or a run of
            the reference has no finite loss.

    Example:

    >>> found = keras_l2o.evaluation.speed_up(
    ...     curves=[[0.5, 0.2, 0.1], [0.4, 0.2, 0.1]],
    ...     reference=[[0.8, 0.4, 0.2], [0.8, 0.4, 0.2]])
    >>> found.mean, found.reached
    (1.5, 1.0)

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


def paired_curves(
    frame: "pandas.DataFrame",
    reference: "pandas.DataFrame",
    column: str = "validation_loss",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Takes the curves that `speed_up` compares out of two frames.

    Args:
        frame: `pandas.DataFrame` as `evaluate` returns, of one problem, with
            or without a column `replicate`.
        reference: The same for the reference. It must have every seed that
            `frame` has, and the same steps.
        column: String, the column to compare. Defaults to
            `"validation_loss"`.

    Returns:
        Three arrays, the first three arguments of `speed_up`: the curves
        `(runs, epochs)`, the reference's curves `(runs, epochs)`, and the
        replicate of each run `(runs,)`.

    Raises:
        ValueError: The reference lacks a seed, or has other steps.

    Example:

    >>> from keras_l2o import evaluation
    >>> ours = evaluation.collection.collect(
    ...     ["held_out/min-max"], "conv_fmnist")
    >>> adam = evaluation.collection.collect(
    ...     ["held_out/baselines/adam-0.01"], "conv_fmnist")
    >>> curves, reference, replicates = evaluation.paired_curves(ours, adam)
    >>> curves.shape == reference.shape == (24, 5)  # 8 replicates, 3 seeds
    True
    >>> found = evaluation.speed_up(curves, reference, replicates)
    >>> round(found.mean, 1)
    1.3
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


def steps_to_reach(curve: Tensor, target: float) -> float:
    """Counts the points until a curve is at a loss or below it.

    Between two points the curve is taken to be straight; one that bends down,
    as losses do, is there a little earlier.

    Args:
        curve: Array `(points,)` of losses at equal steps.
        target: Float, the loss to be reached.

    Returns:
        Float, a number of points, counted from 1; infinite if the curve never
        gets there.
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


def interquartile_mean(values: Tensor) -> float:
    """Mean of the middle half of some values.

    Args:
        values: Array `(values,)`.

    Returns:
        Float.
    """
    from scipy import stats

    return float(stats.trim_mean(values, 0.25))
