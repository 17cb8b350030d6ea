"""Learned coordinatewise rules, against their formulas in NumPy."""

import numpy as np
import pytest

from keras_l2o import policies
from tests.policies.helpers import GRADIENTS
from tests.policies.helpers import SHAPE
from tests.policies.helpers import Cells
from tests.policies.helpers import moments
from tests.policies.helpers import randomize
from tests.policies.helpers import updates

pytestmark = pytest.mark.backend


def directions():
    """Gradient, Adam's direction and RMSprop's, step by step."""
    for g, m, v, t in moments():
        root = np.sqrt(v / (1 - 0.999**t) + 1e-10)
        yield g, m / (1 - 0.9**t) / root, g / root


def outputs(policy, inputs, feed_all=False):
    """What the policy's network says, with these weights, in NumPy."""
    weights = randomize(policy)
    kernel, bias = weights[6:]
    cells = Cells(weights, (4, 3), 12)
    for features in inputs:
        x = np.stack(features, -1).reshape(12, -1)
        output = cells.step(x, feed_all) @ kernel + bias
        yield output.reshape(SHAPE)


def test_rnnprop_is_the_papers_formula():
    policy = policies.RNNProp(layers=(4, 3), alpha=0.3)
    inputs = [(adam, rmsprop) for _, adam, rmsprop in directions()]
    expected = [0.3 * np.tanh(output) for output in outputs(policy, inputs)]
    np.testing.assert_allclose(updates(policy), expected, 1e-4, 1e-5)


def test_extended_rnnprop_feeds_gradient_and_directions_to_every_layer():
    policy = policies.RNNPropExtended(layers=(4, 3), learning_rate=0.3)
    expected = [
        0.3 * np.tanh(output)
        for output in outputs(policy, directions(), feed_all=True)
    ]
    np.testing.assert_allclose(updates(policy), expected, 1e-4, 1e-5)


def test_an_untrained_extended_rnnprop_stands_still():
    policy = policies.RNNPropExtended(layers=(4, 3))
    np.testing.assert_array_equal(updates(policy), 0.0)


@pytest.mark.parametrize(
    ("cls", "direction"),
    [(policies.AdamLR, 1), (policies.RMSPropLR, 2)],
    ids=["adam", "rmsprop"],
)
def test_a_learned_rate_keeps_the_direction(cls, direction):
    policy = cls(layers=(4, 3), alpha=0.3)
    inputs = [(adam, rmsprop) for _, adam, rmsprop in directions()]
    expected = [
        0.3 * np.exp(output) * chosen[direction]
        for output, chosen in zip(outputs(policy, inputs), directions())
    ]
    np.testing.assert_allclose(updates(policy), expected, 1e-4, 1e-5)


def test_lstm_is_the_papers_formula():
    policy = policies.LSTM(layers=(4, 3), learning_rate=0.3)
    inputs = [(g,) for g in GRADIENTS.astype("float64")]
    expected = [0.3 * output for output in outputs(policy, inputs)]
    np.testing.assert_allclose(updates(policy), expected, 1e-4, 1e-5)
