import numpy as np
import pytest

from keras_l2o import policies
from tests.policies.helpers import moments
from tests.policies.helpers import updates

pytestmark = [pytest.mark.backend, pytest.mark.quick]


def agreement(g, m, v):
    return np.tanh(g / np.sqrt(v)) * np.tanh(m / np.sqrt(v))


@pytest.mark.parametrize(
    ("cls", "factor"),
    [(policies.PowerSign, np.exp), (policies.AddSign, lambda x: 1 + x)],
    ids=["power", "add"],
)
def test_sign_rules_are_the_papers_smooth_form(cls, factor):
    expected = [
        0.2 * factor(agreement(g, m, v)) * g for g, m, v, _ in moments()
    ]
    np.testing.assert_allclose(updates(cls(0.2)), expected, 1e-4, 1e-6)


@pytest.mark.parametrize(
    ("cls", "factor"),
    [
        (policies.AdaptivePowerSign, np.exp),
        (policies.AdaptiveAddSign, lambda x: 1 + x),
    ],
    ids=["power", "add"],
)
def test_adaptive_sign_rules_move_by_the_normalized_gradient(cls, factor):
    expected = [
        0.2 * factor(agreement(g, m, v)) * g / np.sqrt(v)
        for g, m, v, _ in moments()
    ]
    np.testing.assert_allclose(updates(cls(0.2)), expected, 1e-4, 1e-5)
