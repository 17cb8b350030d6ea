"""Data of few examples, mixed again and again."""

import numpy as np
import pytest

from keras_l2o import problems
from keras_l2o.problems import few
from keras_l2o.problems.drawn import Drawn


def rows_of(data, seed, steps):
    x, _ = data.batches(np.random.default_rng(seed), steps)
    return x


def test_each_epoch_shows_every_example_once():
    x = rows_of(few.Few(Drawn(4, normal=((2,),)), 3), 0, 7)
    assert x.shape == (7, 4, 2)
    epochs = [x[:3].reshape(12, 2), x[3:6].reshape(12, 2)]
    seen = [np.unique(epoch, axis=0) for epoch in epochs]
    assert len(seen[0]) == 12
    np.testing.assert_array_equal(*seen)
    assert (epochs[0] != epochs[1]).any()
    rest = x[6]
    assert all((row == seen[0]).all(axis=1).any() for row in rest)


def test_inputs_and_targets_stay_together():
    class Pairs:
        def batches(self, rng, steps):
            x = rng.standard_normal((steps, 5, 2, 2))
            return x, x.sum(axis=(2, 3))

    x, y = few.Few(Pairs(), 2).batches(np.random.default_rng(0), 5)
    np.testing.assert_allclose(x.sum(axis=(2, 3)), y)


def test_another_call_has_other_examples():
    data = few.Few(Drawn(4, normal=((2,),)), 3)
    rng = np.random.default_rng(0)
    (one, _), (other, _) = data.batches(rng, 3), data.batches(rng, 3)
    assert not set(one.ravel()) & set(other.ravel())
    np.testing.assert_array_equal(rows_of(data, 5, 3), rows_of(data, 5, 3))


@pytest.mark.parametrize("name", few.MAKERS)
def test_a_run_of_a_tiny_problem_has_few_examples(name):
    problem = problems.get(name)
    data = problem.data
    assert problem.epoch_steps == data.epoch_steps
    x, _ = data.batches(np.random.default_rng(0), 40)
    x = x[0] if isinstance(x, tuple) else x
    rows = x.reshape(-1, *x.shape[2:])
    count = data.epoch_steps * x.shape[1]
    assert 0.9 * count <= len(np.unique(rows, axis=0)) <= count < len(rows)
