import numpy as np
import pandas
import pytest

from keras_l2o.evaluation import comparison
from keras_l2o.evaluation import statistics


def simulated(replicates, runs, meta, noise, seed=0, mean=-2.0):
    rng = np.random.default_rng(seed)
    effects = rng.normal(scale=meta, size=(replicates, 1))
    values = mean + effects + rng.normal(scale=noise, size=(replicates, runs))
    return values, np.repeat(np.arange(replicates), runs)


def test_simulated_variance_components_are_recovered():
    values, names = simulated(200, 10, meta=0.3, noise=0.1)
    result = statistics.mixed_interval(values.ravel(), names)
    assert result.meta == pytest.approx(0.3, rel=0.1)
    assert result.evaluation == pytest.approx(0.1, rel=0.05)
    assert result.mean == pytest.approx(-2.0, abs=0.05)


def test_the_paper_sized_model_is_that_of_the_analysis_of_variance():
    # balanced, so that restricted maximum likelihood has a closed form
    values, names = simulated(8, 10, meta=0.3, noise=0.1, seed=1)
    result = statistics.mixed_interval(values.ravel(), names)
    within = values.var(axis=1, ddof=1).mean()
    between = 10 * values.mean(axis=1).var(ddof=1)
    assert result.mean == pytest.approx(values.mean(), rel=1e-4)
    assert result.evaluation == pytest.approx(np.sqrt(within), rel=1e-2)
    assert result.meta == pytest.approx(
        np.sqrt((between - within) / 10), rel=1e-2
    )
    half = 1.96 * np.sqrt(between / 80)
    assert result.high - result.mean == pytest.approx(half, rel=1e-2)
    assert result.mean - result.low == pytest.approx(half, rel=1e-2)


def test_the_scale_of_the_values_does_not_matter():
    values, names = simulated(8, 10, meta=0.3, noise=0.1, seed=2)
    first = statistics.mixed_interval(values.ravel(), names)
    second = statistics.mixed_interval(1e-6 * values.ravel() + 5, names)
    assert second.meta == pytest.approx(1e-6 * first.meta, rel=1e-3)
    assert second.evaluation == pytest.approx(1e-6 * first.evaluation, rel=1e-3)


def test_replicates_that_do_not_differ_have_no_meta_spread():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(8, 10))
    values -= values.mean(axis=1, keepdims=True)  # less than chance allows
    result = statistics.mixed_interval(
        values.ravel(), np.repeat(np.arange(8), 10)
    )
    assert result.meta == pytest.approx(0.0, abs=1e-3)


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    covered = 0
    for seed in range(30):
        values, names = simulated(8, 5, meta=0.3, noise=0.1, seed=100 + seed)
        result = statistics.mixed_interval(values.ravel(), names)
        covered += result.low <= -2.0 <= result.high
    assert covered >= 24  # 28 of 30 expected, less for eight replicates


def test_one_replicate_or_one_run_each_has_students_interval():
    from scipy import stats

    values = np.random.default_rng(0).normal(size=9)
    low, high = stats.t.interval(
        0.95, 8, loc=values.mean(), scale=stats.sem(values)
    )
    one = statistics.mixed_interval(values, np.zeros(9))
    each = statistics.mixed_interval(values, np.arange(9))
    for result in (one, each):
        assert (result.low, result.high) == pytest.approx((low, high))
    assert np.isnan(one.meta)
    assert np.isnan(each.evaluation)
    assert one.evaluation == each.meta == pytest.approx(values.std(ddof=1))


def test_equal_values_have_no_spread():
    result = statistics.mixed_interval([3.0] * 6, [0, 0, 1, 1, 2, 2])
    assert result == (3.0, 3.0, 3.0, 0.0, 0.0)


@pytest.mark.parametrize("deviation", [0.0, 0.5, 2.0])
def test_the_spread_lies_in_its_interval_as_often_as_it_says(deviation):
    random, hits, sizes = np.random.default_rng(3), 0, []
    names = np.repeat(np.arange(8), 3)
    for _ in range(600):
        effects = deviation * random.normal(size=(8, 1))
        values = effects + random.normal(size=(8, 3))
        low, high = statistics.spread_interval(values.ravel(), names)
        hits += low <= deviation <= high
        sizes.append(high - low)
    # Six standard deviations of the count; at zero the low end is cut off.
    assert 0.90 < hits / 600 <= (1.0 if deviation == 0.0 else 0.985)
    assert np.median(sizes) < 1.0 + 3.0 * deviation


def test_with_one_run_each_the_spread_is_known_as_a_variance_is():
    values = np.random.default_rng(4).normal(size=9)
    low, high = statistics.spread_interval(values, np.arange(9))
    squares = 8.0 * values.var(ddof=1)
    # Quantiles of chi-squared with 8 degrees of freedom, from a table.
    assert low == pytest.approx(np.sqrt(squares / 17.535), rel=1e-4)
    assert high == pytest.approx(np.sqrt(squares / 2.180), rel=1e-3)


def test_the_spread_of_one_replicate_is_not_known():
    assert np.isnan(statistics.spread_interval([1.0, 2.0], [1, 1])).all()
    some = statistics.spread_interval(
        [1.0, np.nan, 2.0, 2.5, np.inf], [1, 1, 2, 2, 3]
    )
    same = statistics.spread_interval([1.0, 2.0, 2.5], [1, 2, 2])
    assert some == same
    assert some[1] > some[0] == 0.0


def test_optimization_stability_is_the_jump_and_not_the_slope():
    epochs = np.arange(200)
    straight = np.exp(-0.01 * epochs)
    jumps = 0.1 * (-1.0) ** epochs
    assert statistics.optimization_stability(straight) < 0.005
    assert statistics.optimization_stability(
        straight * np.exp(jumps)
    ) == pytest.approx(0.1, rel=0.02)
    assert np.isnan(statistics.optimization_stability([0.1, np.nan]))


def frame(replicate, losses, optimizer="learned"):
    losses = np.asarray(losses, "float64")
    runs, epochs = losses.shape
    return pandas.DataFrame(
        {
            "problem": "p",
            "optimizer": optimizer,
            "replicate": replicate,
            "run": np.repeat(np.arange(runs), epochs),
            "seed": np.repeat(np.arange(runs), epochs),
            "epoch": np.tile(np.arange(1, epochs + 1), runs),
            "train_loss": losses.ravel() / 2,
            "validation_loss": losses.ravel(),
            "validation_accuracy": 1 - losses.ravel(),
        }
    )


def test_figures_are_the_best_of_any_epoch():
    result = statistics.figures(frame(1, [[0.5, 0.2, 0.3], [0.4, 0.1, 0.6]]))
    np.testing.assert_allclose(
        result["log_validation_loss"], np.log([0.2, 0.1])
    )
    np.testing.assert_allclose(result["log_train_loss"], np.log([0.1, 0.05]))
    np.testing.assert_allclose(result["accuracy"], [0.8, 0.9])


def test_a_run_that_diverged_has_no_figure_whatever_it_was_before():
    result = statistics.figures(
        frame(1, [[0.5, 0.2, 0.3], [0.4, 0.1, np.nan], [0.4, np.inf, 0.2]])
    )
    columns = ["log_validation_loss", "log_train_loss", "accuracy"]
    kept = np.isfinite(result[[*columns, "instability"]].to_numpy())
    assert kept.all(axis=1).tolist() == [True, False, False]
    assert kept.any(axis=1).tolist() == [True, False, False]
    (row,) = statistics.summary(result).to_dict("records")
    assert (row["runs"], row["failed"]) == (3, 2)


def test_summary_counts_what_failed():
    whole = pandas.concat(
        [
            frame(1, [[0.5, 0.2], [0.4, 0.3]]),
            frame(2, [[0.5, 0.1], [np.nan, np.nan]]),
        ]
    )
    (row,) = statistics.summary(statistics.figures(whole)).to_dict("records")
    assert (row["replicates"], row["runs"], row["failed"]) == (2, 4, 1)
    assert row["low"] < row["mean"] < row["high"]
    assert row["spread"] == pytest.approx(np.log([0.2, 0.3, 0.1]).std(ddof=1))


def test_the_best_replicate_is_compared_with_the_oracle():
    figures = statistics.figures(
        pandas.concat(
            [
                frame(1, [[0.5], [0.4]]),
                frame(2, [[0.2], [0.21]]),
                frame(3, [[0.05], [np.nan]]),
            ]
        )
    )
    oracle = statistics.figures(frame(1, [[0.3], [0.31]], "adam 0.005"))
    result = comparison.against_oracle(figures, oracle)
    # The third has the least loss of all, and a run that failed.
    assert result.replicate == 2
    assert result.difference == pytest.approx(
        np.log([0.2, 0.21]).mean() - np.log([0.3, 0.31]).mean()
    )
    assert result.low < result.difference < result.high < 0


def test_speed_up_is_the_ratio_of_the_steps():
    adam = np.array([[5, 4, 3, 2, 1, 1.5]] * 4, "float64")
    ours = np.array(
        [
            [1, 9, 9, 9, 9, 9],  # in 1 step of 5
            [2, 1, 9, 9, 9, 9],
            [9, 9, 9, 3, 0, 9],  # in 4 and two thirds
            [1, 1, 1, np.nan, np.nan, np.nan],  # diverged: never
        ]
    )
    result = comparison.speed_up(ours, adam)
    np.testing.assert_allclose(result.ratios, [5, 2.5, 15 / 14, 0])
    assert result.mean == pytest.approx((2.5 + 15 / 14) / 2)
    assert result.reached == 0.75
    assert result.low <= result.mean <= result.high


def test_the_bootstrap_interval_is_that_of_the_means_spread():
    rng = np.random.default_rng(0)
    points = 400
    reference = np.tile(np.linspace(1, 0, points), (200, 1))
    steps = rng.integers(100, 301, 200)
    ours = (np.arange(points) < steps[:, None] - 1).astype(float)
    result = comparison.speed_up(ours, reference, samples=500)
    np.testing.assert_allclose(result.ratios, points / steps)
    assert result.mean == pytest.approx(2.0, abs=0.1)
    assert 0.1 < result.high - result.low < 0.4
    # replicates that differ widen it: eight are fewer than 200 runs
    order = np.argsort(steps)
    grouped = comparison.speed_up(
        ours[order], reference, np.repeat(np.arange(8), 25), samples=500
    )
    assert grouped.high - grouped.low > 2 * (result.high - result.low)


def test_runs_are_paired_with_the_references_run_of_their_seed():
    ours = pandas.concat(
        [frame(2, [[0.5, 0.2], [0.4, np.nan]]), frame(1, [[0.3, 0.1]])]
    )
    theirs = frame(1, [[0.6, 0.3], [0.7, 0.4]], "adam 0.005")
    for part in (ours, theirs):
        part["seed"], part["step"] = part["run"], 10 * part["epoch"]
    curves, reference, replicates = comparison.paired_curves(ours, theirs)
    np.testing.assert_array_equal(
        curves, [[0.3, 0.1], [0.5, 0.2], [0.4, np.nan]]
    )
    np.testing.assert_array_equal(
        reference, [[0.6, 0.3], [0.6, 0.3], [0.7, 0.4]]
    )
    assert replicates.tolist() == [1, 2, 2]
    result = comparison.speed_up(curves, reference, replicates)
    # at 0.3 in 1, in 1 and two thirds; at 0.4 in 1, but then diverged
    np.testing.assert_allclose(result.ratios, [2, 1.2, 0])
    with pytest.raises(ValueError, match="same seeds"):
        comparison.paired_curves(ours, theirs[theirs["seed"] == 0])


def test_curves_of_other_runs_are_refused():
    with pytest.raises(ValueError, match="same runs"):
        comparison.speed_up(np.ones((3, 4)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="finite loss"):
        comparison.speed_up(np.ones((1, 4)), np.full((1, 4), np.nan))


def test_replicates_that_differ_less_than_their_runs_have_an_interval():
    # Runs of eight real replicates, at which the gradient cannot be computed.
    values = [
        -0.7298, -0.7097, -0.7214, -0.6977, -0.7294, -0.7245, -0.7208, -0.7446,
        -0.7183, -0.7155, -0.7308, -0.7370, -0.7163, -0.7473, -0.7247, -0.7371,
        -0.7247, -0.7264, -0.7314, -0.7553, -0.7228, -0.7368, -0.7276, -0.7046,
    ]  # fmt: skip
    interval = statistics.mixed_interval(values, np.repeat(np.arange(8), 3))
    assert interval.meta == pytest.approx(0.0, abs=1e-3)
    half = 1.96 * np.std(values, ddof=1) / np.sqrt(24)
    assert interval.mean == pytest.approx(np.mean(values))
    assert interval.high - interval.mean == pytest.approx(half, rel=0.01)


def test_seeds_that_replicates_share_are_part_of_the_interval():
    rng = np.random.default_rng(0)
    replicates, seeds = np.indices((8, 3)).reshape(2, -1)
    crossed, independent = [], []
    for draw in range(300):
        values = (
            0.01 * rng.standard_normal((8, 1))
            + 0.03 * rng.standard_normal((1, 3))
            + 0.01 * rng.standard_normal((8, 3))
        ).ravel()
        mean, low, high = statistics.crossed_interval(values, replicates, seeds)
        np.testing.assert_allclose(mean, values.mean())
        crossed.append(low <= 0 <= high)
        if draw < 60:  # enough to tell a half from 0.95; a fit takes long
            plain = statistics.mixed_interval(values, replicates)
            independent.append(plain.low <= 0 <= plain.high)
    assert 0.91 <= np.mean(crossed) <= 0.99
    assert np.mean(independent) < 0.7


def test_a_replicate_with_a_failed_run_is_no_part_of_the_interval():
    values = [1.0, 2.0, np.nan, 7.0, 2.0, 3.0]
    replicates, seeds = [1, 1, 2, 2, 3, 3], [0, 1, 0, 1, 0, 1]
    mean, low, high = statistics.crossed_interval(values, replicates, seeds)
    assert mean == 2.0
    assert low < 1.5
    assert high > 2.5
    nothing = statistics.crossed_interval(values[2:3], [1], [0])
    assert np.isnan(nothing).all()


def test_with_a_single_seed_the_interval_is_students():
    from scipy import stats

    values = np.array([1.0, 2.0, 4.0])
    found = statistics.crossed_interval(values, [1, 2, 3], [0, 0, 0])
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    np.testing.assert_allclose(found, [values.mean(), low, high])


def test_values_that_are_all_the_same_are_known():
    found = statistics.crossed_interval([3.0] * 4, [0, 0, 1, 1], [0, 1, 0, 1])
    assert found == (3.0, 3.0, 3.0)


def test_what_a_seed_does_to_all_does_not_hide_the_replicates():
    rng = np.random.default_rng(0)
    values = (
        0.01 * rng.standard_normal((40, 1))
        + rng.standard_normal((1, 3))
        + 0.005 * rng.standard_normal((40, 3))
    )
    replicates, seeds = np.indices(values.shape).reshape(2, -1)
    frame = pandas.DataFrame(
        {
            "problem": "p", "optimizer": "a", "replicate": replicates,
            "run": seeds, "seed": seeds, "instability": 0.0,
            "log_validation_loss": values.ravel(),
        }
    )  # fmt: skip
    (row,) = statistics.summary(frame).to_dict("records")
    assert row["meta"] < 1e-3
    found = statistics.without_seeds(frame, "log_validation_loss")
    (row,) = statistics.summary(found).to_dict("records")
    np.testing.assert_allclose(row["meta"], 0.01, rtol=0.3)
    np.testing.assert_allclose(row["evaluation"], 0.005, rtol=0.2)
    np.testing.assert_allclose(row["mean"], values.mean())
    unequal = frame[:-1]
    assert statistics.without_seeds(unequal, "log_validation_loss") is unequal
