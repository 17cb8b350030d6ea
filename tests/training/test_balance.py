"""How tasks count, on results that are made by hand."""

import numpy as np
import pytest
from keras import ops

from keras_l2o.training.balance import Balance
from keras_l2o.training.task import Figures
from keras_l2o.training.task import TaskResult

pytestmark = pytest.mark.backend


def result(gradients, counts, metas=None, teachers=()):
    tasks = len(counts)
    metas = np.zeros(tasks) if metas is None else metas
    losses = np.stack([metas, metas, np.zeros(tasks)], axis=1)
    return TaskResult(
        [ops.convert_to_tensor(np.array(g, "float32")) for g in gradients],
        (),
        ops.convert_to_tensor(np.array(counts)),
        Figures(
            True, ops.convert_to_tensor(losses.astype("float32")), 0, 0, {},
            ops.convert_to_tensor(np.array(teachers, "float32"))
            if len(teachers) else (),
        ),
    )  # fmt: skip


def mean(balance, *results):
    weights = [ops.zeros(part.shape[1:]) for part in results[0].gradients]
    gradients, count = balance.mean(weights, list(results))
    return [np.array(g) for g in gradients], float(count)


def test_without_a_bound_it_is_the_mean_of_what_counts():
    one = result([[[1.0, 2.0], [3.0, 4.0]]], [True, True])
    two = result([[[5.0, 6.0], [np.nan, 0.0]]], [True, False])
    (gradient,), count = mean(Balance(), one, two)
    np.testing.assert_allclose(gradient, [3.0, 4.0])
    assert count == 3


def test_a_tasks_gradient_is_bounded_over_all_weights():
    gradients = [[[3.0], [0.03]], [[[4.0]], [[0.04]]]]
    one = result(gradients, [True, True])
    found, count = mean(Balance(clipping=1.0), one)
    np.testing.assert_allclose(found[0], [(0.6 + 0.03) / 2], rtol=1e-6)
    np.testing.assert_allclose(found[1], [[(0.8 + 0.04) / 2]], rtol=1e-6)
    assert count == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_task_whose_gradient_is_not_finite_is_left_out(bad):
    one = result([[[bad, 1.0], [0.6, 0.8]]], [True, True])
    (gradient,), count = mean(Balance(clipping=2.0), one)
    np.testing.assert_allclose(gradient, [0.6, 0.8], rtol=1e-6)
    assert count == 1


def test_problems_that_are_lost_count_more_by_their_lead():
    lost = result([[[1.0], [1.0]]], [True, True], [-1.0, -2.0],
                  [[-1.5, 3.0], [0.0, -2.5]])  # fmt: skip
    won = result([[[0.0]]], [True], [-2.0], [[-1.0, -1.5]])
    (gradient,), _ = mean(Balance(emphasis=2.0), lost, won)
    # leads of 0.5 and -0.5, of two tasks and of one
    a, b = 2 * np.exp(1.0), np.exp(-1.0)
    np.testing.assert_allclose(gradient, [a / (a + b)], rtol=1e-5)


def test_without_teachers_the_lead_is_over_the_first_parameters():
    one = result([[[1.0]]], [True], [-1.0])
    two = result([[[0.0]]], [True], [0.0])
    (gradient,), _ = mean(Balance(emphasis=1.0), one, two)
    a = np.exp(-1.0)
    np.testing.assert_allclose(gradient, [a / (a + 1.0)], rtol=1e-5)


def test_where_nothing_counts_the_mean_is_zero():
    one = result([[[np.nan]]], [False])
    (gradient,), count = mean(Balance(1.0, 1.0), one)
    np.testing.assert_array_equal(gradient, [0.0])
    assert count == 0
