"""Learned coordinatewise rules, against their formulas in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import policies
from keras_l2o.policies.recurrent import RecurrentStack
from tests.policies.helpers import GRADIENTS
from tests.policies.helpers import SHAPE
from tests.policies.helpers import Cells
from tests.policies.helpers import OddCells
from tests.policies.helpers import moments
from tests.policies.helpers import numpy
from tests.policies.helpers import randomize
from tests.policies.helpers import updates

pytestmark = [pytest.mark.backend, pytest.mark.quick]


def directions():
    """Gradient, Adam's direction and RMSprop's, step by step."""
    for g, m, v, t in moments():
        root = np.sqrt(v / (1 - 0.999**t) + 1e-10)
        yield g, m / (1 - 0.9**t) / root, g / root


def outputs(policy, inputs, feed_all=False, cells=Cells):
    """What the policy's network says, with these weights, in NumPy."""
    weights = randomize(policy)
    kernel, *bias = weights[6:]
    cells = cells(weights, (4, 3), 12)
    for features in inputs:
        x = np.stack(features, -1).reshape(12, -1)
        output = cells.step(x, feed_all) @ kernel + sum(bias)
        yield output.reshape(SHAPE)


@pytest.mark.parametrize(
    ("odd", "cells"), [(False, Cells), (True, OddCells)], ids=["paper", "odd"]
)
def test_rnnprop_is_its_formula(odd, cells):
    policy = policies.RNNProp(units=(4, 3), learning_rate=0.3, odd=odd)
    inputs = [(adam, rmsprop) for _, adam, rmsprop in directions()]
    expected = [
        0.3 * np.tanh(output) for output in outputs(policy, inputs, cells=cells)
    ]
    np.testing.assert_allclose(updates(policy), expected, 1e-4, 1e-5)


@pytest.mark.parametrize(
    ("odd", "cells"), [(False, Cells), (True, OddCells)], ids=["paper", "odd"]
)
def test_extended_rnnprop_feeds_gradient_and_directions_to_every_layer(
    odd, cells
):
    policy = policies.RNNPropExtended((4, 3), learning_rate=0.3, odd=odd)
    expected = [
        0.3 * np.tanh(output)
        for output in outputs(policy, directions(), True, cells)
    ]
    np.testing.assert_allclose(updates(policy), expected, 1e-4, 1e-5)


def test_an_untrained_extended_rnnprop_stands_still():
    policy = policies.RNNPropExtended(units=(4, 3))
    np.testing.assert_array_equal(updates(policy), 0.0)


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize(
    ("cls", "direction"),
    [(policies.AdamLR, 1), (policies.RMSPropLR, 2)],
    ids=["adam", "rmsprop"],
)
def test_a_learned_rate_keeps_the_direction(cls, direction, odd):
    policy = cls(units=(4, 3), learning_rate=0.3, odd=odd)
    inputs = [(adam, rmsprop) for _, adam, rmsprop in directions()]
    if odd:
        inputs = np.abs(inputs)
    expected = [
        0.3 * np.exp(output) * chosen[direction]
        for output, chosen in zip(outputs(policy, inputs), directions())
    ]
    np.testing.assert_allclose(updates(policy), expected, 1e-4, 1e-5)


def test_lstm_is_the_papers_formula():
    policy = policies.LSTM(units=(4, 3), learning_rate=0.3, odd=False)
    inputs = [(g,) for g in GRADIENTS.astype("float64")]
    expected = [0.3 * output for output in outputs(policy, inputs)]
    np.testing.assert_allclose(updates(policy), expected, 1e-4, 1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_bias": False},
        {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
        {"activation": "tanh", "recurrent_activation": "tanh"},
    ],
    ids=["usual", "no_bias", "other_activations", "tanh_gates"],
)
def test_cells_do_with_any_options_what_keras_cells_do(options):
    stack = RecurrentStack((4, 3), options)
    stack.build(2)
    rng = np.random.default_rng(5)

    def draw(*shape):
        return rng.normal(size=shape).astype("float32")

    stack.set_weights([draw(*w.shape) for w in stack.get_weights()])
    features = draw(2, 6)
    state = [(draw(n, 2, 3), draw(n, 2, 3)) for n in (4, 3)]
    output, new_state = stack.step(features, state)
    rows = features.T
    for cell, (hidden, memory), (new_hidden, new_memory) in zip(
        stack.cells, state, new_state
    ):
        flat = [leaf.reshape(cell.units, 6).T for leaf in (hidden, memory)]
        rows, (_, expected) = cell(rows, flat)
        np.testing.assert_allclose(
            numpy(new_hidden).reshape(cell.units, 6).T, numpy(rows), 1e-4, 1e-6
        )
        np.testing.assert_allclose(
            numpy(new_memory).reshape(cell.units, 6).T,
            numpy(expected),
            1e-4,
            1e-6,
        )
    np.testing.assert_allclose(numpy(output).T, numpy(rows), 1e-4, 1e-6)


@pytest.mark.parametrize("unit_forget_bias", [True, False])
def test_an_odd_cell_starts_with_keras_initializers(unit_forget_bias):
    options = {
        "kernel_initializer": "ones",
        "recurrent_initializer": "zeros",
        "bias_initializer": keras.initializers.Constant(2.0),
        "unit_forget_bias": unit_forget_bias,
    }
    stack = RecurrentStack((2,), options, odd=True)
    stack.build(3)
    kernel, recurrent, bias = stack.get_weights()
    np.testing.assert_array_equal(kernel, np.ones((3, 8)))
    np.testing.assert_array_equal(recurrent, np.zeros((2, 8)))
    forget = 1.0 if unit_forget_bias else 2.0
    np.testing.assert_array_equal(bias, [2.0, 2.0, forget, forget, 2.0, 2.0])


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "sigmoid"},
        {"activation": ops.tanh},
        {"use_bias": False},
        {"dropout": 0.5},
    ],
    ids=["sigmoid", "function", "use_bias", "dropout"],
)
@pytest.mark.parametrize("cls", [policies.RNNProp, policies.LSTM])
def test_what_an_odd_cell_cannot_do_is_an_error_that_names_the_way_out(
    cls, options
):
    with pytest.raises(ValueError, match="take `odd=False`"):
        cls(units=(2,), cell_options=options)
    cls(units=(2,), cell_options=options, odd=False)
