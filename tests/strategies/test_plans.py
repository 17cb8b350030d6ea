"""The plans: pure functions of the rows, so no trainer runs here."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_l2o import strategies
from keras_l2o.strategies import rows as rows_module


def simulate(strategy, losses, limit=10_000):
    """The rows of a run whose validations give these losses, in a circle."""
    losses, rows = itertools.cycle(losses), []
    while (period := strategy.next(rows)) is not None:
        rows.append(finish(strategy, rows, period, next(losses)))
        assert len(rows) < limit
    return rows


def finish(strategy, rows, period, loss):
    kept = strategy.keeps(rows, loss)
    name = f"{period.stage}-{period.period}-{period.attempt}" if kept else ""
    return strategies.Row(period, loss, kept, name)


def places(rows):
    return [tuple(row.period[:3]) for row in rows]


# other work on the machine is no failure
quick = settings(deadline=None, max_examples=50)

any_loss = st.one_of(
    st.floats(-20, 20), st.sampled_from([math.inf, -5.0, -1.0, 0.0, 1.0])
)
any_losses = st.lists(any_loss, min_size=1, max_size=40)
any_strategy = st.one_of(
    st.builds(strategies.Simple, num_periods=st.integers(1, 6)),
    st.builds(
        strategies.Repeat,
        num_periods=st.integers(1, 6),
        repeat_threshold=st.floats(0, 1),
        max_repeat=st.integers(0, 3),
    ),
    st.builds(
        strategies.Curriculum,
        num_stages=st.integers(1, 4),
        num_periods=st.integers(1, 4),
        num_chances=st.integers(1, 4),
        repeat_threshold=st.floats(0, 1),
        max_repeat=st.integers(0, 3),
    ),
)


@quick
@given(any_strategy, any_losses)
def test_every_run_comes_to_an_end(strategy, losses):
    rows = simulate(strategy, losses)
    attempts = 1 + getattr(strategy, "max_repeat", 0)
    if isinstance(strategy, strategies.Curriculum):
        # a stage goes on at most `num_chances` periods after each record
        records = len(set(losses))
        stage = strategy.num_periods + strategy.num_chances * records + 1
        assert len(rows) <= strategy.num_stages * stage * attempts
    else:
        assert len(rows) <= strategy.num_periods * attempts


@quick
@given(any_strategy, any_losses)
def test_no_period_is_repeated_more_often_than_allowed(strategy, losses):
    rows = simulate(strategy, losses)
    most = getattr(strategy, "max_repeat", 0)
    assert all(row.period.attempt <= most for row in rows)
    assert len(set(places(rows))) == len(rows)
    # each attempt follows the one that was rolled back, from the same start
    for before, after in itertools.pairwise(rows):
        if not before.kept:
            assert after.period[:2] == before.period[:2]
            assert after.period.attempt == before.period.attempt + 1
            assert after.period.start == before.period.start
        else:
            assert after.period.attempt == 0


@quick
@given(any_strategy, any_losses, st.integers(0, 200))
def test_a_run_taken_up_from_its_file_is_planned_the_same(
    strategy, losses, cut
):
    rows = simulate(strategy, losses)
    cut = min(cut, len(rows))
    read = rows_module.parse(rows_module.dump(rows[:cut]))
    assert read == rows[:cut]
    twin = type(strategy)(**strategy.get_config())
    for row in rows[cut:]:
        period = twin.next(read)
        assert period == row.period
        read.append(finish(twin, read, period, row.validation))
    assert twin.next(read) is None
    assert read == rows


@quick
@given(any_strategy, any_losses)
def test_checkpoints_are_kept_until_nothing_starts_from_them(strategy, losses):
    rows = simulate(strategy, losses)
    on_disk = set()
    for count, row in enumerate(rows):
        assert row.period.start in on_disk | ({""} if not count else set())
        on_disk = (on_disk | {row.checkpoint}) & strategy.needed(
            rows[: count + 1]
        )
        assert len(on_disk) <= 2
    assert strategy.best(rows).checkpoint in on_disk


def test_simple_runs_its_periods_by_the_defaults():
    rows = simulate(strategies.Simple(), [0.0, 100.0])
    assert places(rows) == [(0, period, 0) for period in range(25)]
    first = rows[0].period
    assert (first.unroll, first.depth, first.episodes) == (20, 25, 10)
    assert (first.warmup, first.validation_depth) == (0, 25)
    assert first.truncations == 250
    assert [row.period.start for row in rows[:3]] == ["", "0-0-0", "0-1-0"]


def test_repeat_rolls_back_what_is_worse_by_more_than_the_threshold():
    strategy = strategies.Repeat(num_periods=4, repeat_threshold=0.5)
    # |last| is 2: up to -1 is allowed
    rows = simulate(strategy, [-2.0, -0.9, -1.0, -0.4, -0.6, -3.0])
    assert places(rows) == [
        (0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 2, 0), (0, 2, 1), (0, 3, 0),
    ]  # fmt: skip
    assert [row.kept for row in rows] == [True, False, True, False, True, True]
    assert [row.checkpoint for row in rows if not row.kept] == ["", ""]
    assert rows[2].period.start == "0-0-0"
    assert rows[3].period.start == "0-1-1"


def test_the_last_attempt_stays_and_sets_the_measure():
    strategy = strategies.Repeat(num_periods=3, max_repeat=2)
    rows = simulate(strategy, [1.0, 9.0, 8.0, 7.0, 7.5])
    assert [row.kept for row in rows] == [True, False, False, True, True]
    assert places(rows)[-1] == (0, 2, 0)


def test_a_diverged_period_is_rolled_back():
    strategy = strategies.Repeat(num_periods=2)
    rows = simulate(strategy, [-1.0, math.inf, -2.0])
    assert [row.kept for row in rows] == [True, False, True]


def test_repeat_follows_the_schedules_by_period():
    strategy = strategies.Repeat(
        num_periods=4,
        warmup=[0, 1],
        imitation_weight={"geometric": {"start": 1.0, "ratio": 0.5}},
    )
    periods = [row.period for row in simulate(strategy, [-1.0])]
    assert [p.depth for p in periods] == [1, 2, 5, 5]
    assert [p.warmup for p in periods] == [0, 1, 1, 1]
    assert [p.imitation_weight for p in periods] == [1.0, 0.5, 0.25, 0.125]
    # one validation for all, or the losses could not be compared
    assert {p.validation_depth for p in periods} == {5}
    assert {strategy.validation_of(p)["warmup"] for p in periods} == {1}
    assert strategy.validation_of(periods[0])["depth"] == 6


def test_curriculum_validates_at_the_next_stages_depth():
    rows = simulate(strategies.Curriculum(), [-1.0])
    by_stage = {row.period.stage: row.period for row in rows}
    assert [by_stage[s].depth for s in range(4)] == [1, 2, 5, 10]
    assert [by_stage[s].validation_depth for s in range(4)] == [2, 5, 10, 20]
    # the first period is the best, and five periods old after the sixth
    assert len(rows) == 4 * 6
    assert by_stage[0].warmup == 1
    assert by_stage[0].truncations == 10 * (1 + 1)


def test_a_stage_goes_on_while_it_improves_and_starts_from_the_best():
    strategy = strategies.Curriculum(
        num_stages=2, num_periods=2, num_chances=2, repeat_threshold=5.0
    )
    losses = [-1.0, -2.0, -3.0, -2.9, -2.8, -0.5, -0.4, -0.3]
    rows = simulate(strategy, losses)
    assert places(rows) == [
        (0, 0, 0), (0, 1, 0), (0, 2, 0), (0, 3, 0), (0, 4, 0),
        (1, 0, 0), (1, 1, 0), (1, 2, 0),
    ]  # fmt: skip
    assert rows[5].period.start == "0-2-0"
    # a loss of another depth is no reason to roll back
    assert all(row.kept for row in rows)
    # the best student is the best of the last stage
    assert strategy.best(rows) == rows[5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_periods": 0}, "`num_periods` must be an integer of at least 1"),
        ({"episodes": 1.5}, "`episodes` must be an integer"),
        ({"depth": [1, 0]}, "`depth` must be at least 1 throughout"),
        ({"depth": "deep"}, "`depth` must be one of the integers"),
        ({"validation_depth": 0}, "`validation_depth` must be at least 1"),
        ({"validation_unroll": 0}, "`validation_unroll` must be an integer"),
        ({"validation_warmup": -1}, "`validation_warmup` must be an integer"),
        ({"shortest_depth": 0}, "`shortest_depth` must be an integer"),
        ({"repeat_threshold": -1}, "`repeat_threshold` must be a non-neg"),
        ({"num_chances": 0}, "`num_chances` must be an integer of at least 1"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        strategies.Curriculum(**arguments)


def test_an_unknown_strategy_is_an_error_that_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'curriculum'"):
        strategies.get("curiculum")
