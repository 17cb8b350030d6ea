import concurrent.futures

import numpy as np
import pytest

from keras_l2o import problems
from keras_l2o.training.episodes import Episodes
from keras_l2o.training.validation_episodes import ValidationEpisodes
from tests.conftest import tiny_model


def episodes(problem, **options):
    arguments = dict(tasks=3, unroll=4, depth=(1, 6), seed=5)
    return Episodes([problem], **{**arguments, **options})


def test_any_outer_step_can_be_drawn_alone(tiny_problem):
    stream = episodes(tiny_problem).stream()
    for _ in range(4):
        (walked,) = next(stream)
    (alone,) = episodes(tiny_problem).at(3)
    for key in ("parameters", "scale", "reset"):
        np.testing.assert_array_equal(walked[0][key], alone[key])
    np.testing.assert_array_equal(walked[0]["batches"][0], alone["batches"][0])


def test_an_episode_keeps_its_start_and_changes_its_batches(tiny_problem):
    data = episodes(tiny_problem, depth=3)
    (first,), (second,), (next_episode,) = data.at(0), data.at(1), data.at(3)
    np.testing.assert_array_equal(first["parameters"], second["parameters"])
    np.testing.assert_array_equal(first["scale"], second["scale"])
    assert (first["batches"][0] != second["batches"][0]).any()
    assert (first["parameters"] != next_episode["parameters"]).any()
    assert first["reset"].all()
    assert not second["reset"].any()
    assert next_episode["reset"].all()


def test_a_seed_may_be_a_tuple(tiny_problem):
    def start(seed):
        return episodes(tiny_problem, seed=seed).at(0)[0]["parameters"]

    np.testing.assert_array_equal(start((5,)), start(5))
    np.testing.assert_array_equal(start((5, 1)), start((5, 1)))
    assert (start((5, 1)) != start((5, 2))).any()


def test_tasks_share_a_draw_that_is_uniform_over_outer_steps(tiny_problem):
    data = episodes(tiny_problem)
    draws = np.array([data.at(step)[0]["draw"] for step in range(200)])
    assert (draws == draws[:, :1]).all()
    assert (draws >= 0).all()
    assert (draws < 1).all()
    assert draws.mean() == pytest.approx(0.5, abs=0.07)


def test_tasks_are_different_episodes(tiny_problem):
    (data,) = episodes(tiny_problem).at(0)
    assert (data["parameters"][0] != data["parameters"][1]).any()


def test_depths_are_log_uniform_over_the_range(tiny_problem):
    data = episodes(tiny_problem, depth=(1, 8))
    data.position(0, 0, 20_000)
    depths = np.diff(data._starts[0, 0])
    assert set(depths) == set(range(1, 9))
    # P(depth = k) = log((k + 1) / k) / log 9
    for depth in (1, 8):
        expected = np.log((depth + 1) / depth) / np.log(9)
        assert np.mean(depths == depth) == pytest.approx(expected, rel=0.15)


def test_scale_is_within_the_spread(tiny_problem):
    (data,) = episodes(tiny_problem, parameter_scale_spread=2.0).at(0)
    exponent = np.log(data["scale"])
    assert np.abs(exponent).max() <= 2.0
    assert np.abs(exponent).max() > 1.5


def test_warm_up_marks_the_first_truncations(tiny_problem):
    data = episodes(tiny_problem, depth=3, warmup=2)
    marks = [bool(data.at(step)[0]["warming"][0]) for step in range(4)]
    assert marks == [True, True, False, True]


def test_a_batch_that_is_not_finite_gives_way(tiny_data):
    x, y = tiny_data
    x = x.copy()
    x[3, 0, 0] = np.nan
    problem = problems.Problem(tiny_model, (x, y), batch_size=16)
    (data,) = episodes(problem).at(0)
    assert np.isfinite(data["batches"][0]).all()
    # 64 examples, batches of 16: every epoch of four batches holds it once
    np.testing.assert_array_equal(data["replaced_batches"], [1.0, 1.0, 1.0])


def test_data_without_a_finite_batch_is_an_error(tiny_data):
    x, y = tiny_data
    problem = problems.Problem(
        tiny_model, (np.full_like(x, np.inf), y), batch_size=16
    )
    with pytest.raises(ValueError, match="free of NaN"):
        episodes(problem).at(0)


def test_validation_is_the_same_each_time_and_marks_its_end(tiny_problem):
    data = ValidationEpisodes([tiny_problem], 2, 4, depth=3, seed=1)
    assert len(data) == 3
    ((first,),), ((last,),) = data[0], data[2]
    ((again,),) = data[0]
    np.testing.assert_array_equal(first["batches"][0], again["batches"][0])
    assert first["reset"].all()
    assert not first["last"].any()
    assert last["last"].all()


@pytest.mark.parametrize("depth", [0, (0, 3), (4, 2)])
def test_a_bad_depth_is_named(tiny_problem, depth):
    with pytest.raises(ValueError, match="`depth` must be"):
        episodes(tiny_problem, depth=depth)


def test_values_drawn_in_two_threads_are_those_drawn_in_one(tiny_problem):
    # fit and validation each draw episodes in a thread of their own
    def draw(seed):
        return tiny_problem.initial_values(seed)[0][0]

    expected = [draw(seed) for seed in range(40)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for old, new in zip(expected, pool.map(draw, range(40))):
            np.testing.assert_array_equal(old, new)
