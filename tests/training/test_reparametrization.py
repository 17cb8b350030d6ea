import numpy as np
import pytest

from keras_l2o import problems
from keras_l2o import training
from keras_l2o.training.reparametrization import reparametrization


@pytest.fixture(scope="module")
def problem():
    return problems.get("tiny_label_noise")  # a matrix and a vector


def drawn(problem, weights, seed=0):
    scales = training.Reparametrization(1.5, 1.0, 0.5, weights)
    return scales.exponents(np.random.default_rng(seed), problem)


def test_each_kind_scales_what_it_says(problem):
    matrix = slice(0, 640)
    assert not drawn(problem, (1, 0, 0, 0)).any()
    whole = drawn(problem, (0, 1, 0, 0))
    assert len(set(whole)) == 1
    tensors = drawn(problem, (0, 0, 1, 0))
    assert len(set(tensors[matrix])) == 1
    assert len(set(tensors)) == 2
    coordinates = drawn(problem, (0, 0, 0, 1))
    assert len(set(coordinates)) == problem.size


def test_kinds_are_drawn_by_their_weights_and_within_their_spreads(problem):
    rows = [drawn(problem, (2, 2, 2, 1), seed) for seed in range(400)]
    distinct = np.array([len(set(row)) for row in rows])
    plain = np.array([not row.any() for row in rows])
    found = [
        np.mean(plain), np.mean((distinct == 1) & ~plain),
        np.mean(distinct == 2), np.mean(distinct == problem.size),
    ]  # fmt: skip
    np.testing.assert_allclose(found, np.array([2, 2, 2, 1]) / 7, atol=0.08)
    for count, spread in ((1, 1.5), (2, 1.0), (problem.size, 0.5)):
        largest = max(
            np.abs(row).max() for row, n in zip(rows, distinct) if n == count
        )
        assert 0.8 * spread < largest <= spread


def test_a_number_is_a_spread_by_coordinate_and_a_dict_its_arguments(problem):
    rng = np.random.default_rng
    spread = reparametrization(0.5).exponents(rng(3), problem)
    np.testing.assert_array_equal(
        spread, rng(3).uniform(-0.5, 0.5, problem.size)
    )
    assert reparametrization({"whole": 2.0}).whole == 2.0
    assert not reparametrization(0.0)
    assert not training.Reparametrization(0.0, 0.0, 0.0)
    assert not training.Reparametrization(weights=(1, 0, 0, 0))
    assert training.Reparametrization()


@pytest.mark.parametrize(
    "options", [{"whole": -1.0}, {"weights": (1, 1)}, {"weights": (0,) * 4}]
)
def test_what_makes_no_sense_is_refused(options):
    with pytest.raises(ValueError, match="Argument"):
        training.Reparametrization(**options)


def test_episodes_draw_them(problem):
    episodes = training.Episodes(
        [problem],
        tasks=8,
        unroll=2,
        depth=1,
        parameter_scale_spread={"weights": (0, 0, 1, 0)},
    )
    (data,) = episodes.at(0)
    assert [len(set(row)) for row in data["scale"]] == [2] * 8
    twin = episodes.changed(seed=0)
    np.testing.assert_array_equal(twin.at(0)[0]["scale"], data["scale"])
