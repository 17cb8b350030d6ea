"""The tiny problems of many kinds, each with real batches."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import backend
from keras_l2o import problems
from keras_l2o.problems import text


@pytest.fixture(scope="module", params=problems.BREADTH)
def problem(request):
    return problems.get(request.param)


def first(problem, seed=0):
    rng = np.random.default_rng(seed)
    batch = keras.tree.map_structure(
        lambda leaf: leaf[0], problem.batches(rng, 2)
    )
    return problem.initial_values(seed), batch


def test_there_are_at_least_twelve_kinds():
    assert len(problems.BREADTH) >= 12
    assert set(problems.BREADTH) <= set(problems.names())


def test_its_loss_falls_along_the_gradient(problem):
    (trainable, others), batch = first(problem)
    others = tuple(map(ops.convert_to_tensor, others))

    def loss(variables, others):
        return problem.loss_value(
            problem.unravel(variables[0]), list(others), batch
        )

    point = problem.ravel(trainable)
    (before, _), (gradient,) = backend.value_and_grad(backend.unrolled(loss))(
        [point], others
    )
    squares = float(ops.sum(ops.square(gradient)))
    assert np.isfinite(squares)
    assert squares > 0
    step = 0.02 * float(before) / squares
    after, _ = loss([point - step * gradient], others)
    assert 0.0 < float(after) < float(before)


def test_an_episode_draws_it_anew(problem):
    (one, fixed), _ = first(problem)
    (again, fixed_again), _ = first(problem)
    (other, fixed_other), _ = first(problem, seed=1)
    for a, b in zip([*one, *fixed], [*again, *fixed_again]):
        np.testing.assert_array_equal(a, b)
    changed = [
        (a != b).any()
        for a, b in zip([*one, *fixed], [*other, *fixed_other])
        if a.size > 1
    ]
    assert any(changed)


@pytest.mark.parametrize("name", ["tiny_transformer", "tiny_deep_transformer"])
def test_positions_are_trained(name):
    problem = problems.get(name)
    names = [v.path.split("/")[-1] for v in problem.model.trainable_variables]
    assert names.count("vectors") == 1
    # What a model says depends on its weights alone.
    (trainable, others), batch = first(problem)
    twin = problems.get(name)
    one, _ = problem.loss_value(trainable, others, batch)
    other, _ = twin.loss_value(trainable, others, batch)
    assert float(one) == pytest.approx(float(other), rel=1e-6)


def test_targets_are_drawn_and_not_trained():
    for name in ("tiny_regression", "tiny_factorization", "tiny_quadratic"):
        problem = problems.get(name)
        (_, one), _ = first(problem)
        (_, other), _ = first(problem, seed=1)
        assert all((a != b).any() for a, b in zip(one, other))


def test_text_is_windows_and_what_follows():
    data = text.Text(batch_size=3, length=5)
    x, y = data.batches(np.random.default_rng(0), steps=2)
    assert x.shape == y.shape == (2, 3, 5)
    np.testing.assert_array_equal(x[..., 1:], y[..., :-1])
    assert 0 <= x.min()
    assert x.max() < text.SYMBOLS
    assert len(np.unique(text.documentation())) > 30


def test_the_quadratic_is_ill_conditioned_and_has_a_floor():
    problem = problems.get("tiny_quadratic")
    (_, (rotation,)), batch = first(problem)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(48), atol=1e-5)
    value, _ = problem.loss_value([np.zeros(48, "float32")], [rotation], batch)
    curvatures = 3.0 * np.logspace(-3, 0, 48)
    np.testing.assert_allclose(
        float(value), 0.5 * 0.01 * curvatures.sum(), rtol=0.5
    )
