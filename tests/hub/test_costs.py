"""What a rule keeps and multiplies, beside counts of other kinds."""

import math

import keras
import numpy as np
import pytest

from keras_l2o import policies
from keras_l2o.hub import costs
from keras_l2o.policies import orthogonal

pytestmark = pytest.mark.quick


def built(policy):
    policy.build()
    return policy


def test_adam_is_the_measure_of_all_rules():
    assert costs.of(built(policies.Adam())) == costs.Costs(2.0, 0.0, 1.0)


def test_the_products_of_an_update_are_those_that_are_counted(monkeypatch):
    found = []

    def matmul(one, two):
        found.append(math.prod(one.shape) * two.shape[-1])
        return original(one, two)

    original = keras.ops.matmul
    policy = built(policies.RNNProp(units=(5, 3)))
    state = policy.initial_state([np.zeros((4, 7))])
    monkeypatch.setattr(keras.ops, "matmul", matmul)
    policy.update([np.ones((4, 7))], [np.zeros((4, 7))], state)
    counted = costs.of(policy)
    assert sum(found) == counted.multiplications * 4 * 7
    assert counted.state == 2 + 2 * (5 + 3)
    # A layer multiplies each parameter three times for each of 128 examples.
    expected = 1.0 + counted.multiplications / 384
    assert counted.cost == pytest.approx(expected)


def test_orthogonal_matrices_cost_what_their_iterations_multiply():
    # Five times: (2, 3) by (3, 2), (2, 2) by (2, 2), (2, 2) by (2, 3).
    for shape in ((2, 3), (3, 2)):
        assert orthogonal.multiplications(*shape) == 5 * (12 + 8 + 12)
    plain = costs.of(built(policies.General()))
    turned = costs.of(built(policies.General(orthogonal=True)))
    assert turned.state == plain.state == 4.0
    assert turned.multiplications - plain.multiplications > 5 * 3 * 256 - 1
