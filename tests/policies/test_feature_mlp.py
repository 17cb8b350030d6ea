import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import backend
from keras_l2o import policies
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.policies import directions
from tests.policies.helpers import GRADIENTS
from tests.policies.helpers import SHAPE
from tests.policies.helpers import randomize
from tests.policies.helpers import updates

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("odd", [True, False])
def test_an_untrained_one_is_adam_step_for_step(odd):
    gradients = np.random.default_rng(3).normal(size=(40, 7))
    gradients = (gradients * np.geomspace(1e-6, 1e3, 7)).astype("float32")
    gradients[:, 3] = 0.0
    np.testing.assert_array_equal(
        updates(policies.FeatureMLP(0.02, odd=odd), gradients),
        updates(policies.Adam(0.02), gradients),
    )
    adam = updates(policies.Adam(0.03))
    untrained = updates(policies.FeatureMLP(odd=odd))
    np.testing.assert_array_equal(untrained, adam)


@pytest.mark.parametrize(
    "make",
    [
        lambda: policies.FeatureMLP(units=(5, 4)),
        lambda: policies.General(units=(8,), orthogonal=True),
    ],
    ids=["feature_mlp", "general"],
)
def test_the_form_for_compilers_is_the_plain_form(make, monkeypatch):
    policy = make()
    randomize(policy, scale=0.3)
    assert not backend.fuses(np.zeros(3, "float32"))
    plain = updates(policy)
    monkeypatch.setattr(backend, "fuses", lambda tensor: True)
    calls = []
    in_turn = directions.in_turn

    def counted(*arguments):
        calls.append(arguments)
        return in_turn(*arguments)

    monkeypatch.setattr(directions, "in_turn", counted)
    fused = updates(policy)
    np.testing.assert_allclose(fused, plain, rtol=2e-5, atol=1e-7)
    assert len(calls) == len(plain)
    # What is differentiated keeps the plain form.
    parameters = [ops.zeros(SHAPE)]
    gradients = [ops.ones(SHAPE)]
    state = policy.initial_state(parameters)
    policy.update(gradients, parameters, state, training=True)
    assert len(calls) == len(plain)


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only JAX says so in `fit`"
)
def test_a_training_has_the_form_for_compilers(monkeypatch):
    calls = []
    in_turn = directions.in_turn
    monkeypatch.setattr(
        directions, "in_turn", lambda *a: calls.append(a) or in_turn(*a)
    )
    model = keras.Sequential([keras.layers.Dense(2)])
    model.compile(LearnedOptimizer(policies.FeatureMLP()), loss="mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    assert calls


def odd_features(fast, adam, slow, normalized):
    normalized = np.tanh(normalized)
    directions = (fast, adam, slow, normalized)
    products = (fast * adam, adam * slow, normalized * adam)
    return [*map(np.abs, directions), *(3 * product for product in products)]


@pytest.mark.parametrize("odd", [True, False])
def test_the_network_corrects_direction_and_log_magnitude(odd):
    policy = policies.FeatureMLP(0.2, units=(5, 4), beta_2=0.99, odd=odd)
    weights = randomize(policy, scale=0.3)
    momenta, v, expected = np.zeros((3, *SHAPE)), np.zeros(SHAPE), []
    decays = np.array([0.5, 0.9, 0.99])[:, None, None]
    for t, g in enumerate(GRADIENTS.astype("float64"), 1):
        momenta = decays * momenta + (1 - decays) * g
        v = 0.99 * v + 0.01 * g**2
        root = np.sqrt(v / (1 - 0.99**t))
        directions = momenta / (1 - decays**t) / root
        features = [*directions, g / root]
        if odd:
            features = odd_features(*features)
        squashed = np.tanh(np.stack(features, -1))
        time = np.tanh(t / np.logspace(0, np.log10(3000), 8) - 1)
        x = np.concatenate(
            [squashed.reshape(12, -1), np.tile(time, (12, 1))], 1
        )
        for kernel, bias in zip(weights[:4:2], weights[1:4:2]):
            x = np.maximum(x @ kernel + bias, 0)
        *d, m = (x @ weights[4] + weights[5]).T.reshape(-1, *SHAPE)
        if odd:
            d = np.multiply(d, [*directions, np.tanh(g / root)])
        expected.append(0.2 * np.exp(m) * (directions[1] + sum(d)))
    np.testing.assert_allclose(updates(policy), expected, 1e-4, 1e-5)


def test_it_keeps_four_numbers_a_parameter_and_has_few_weights():
    policy = policies.FeatureMLP()
    policy.build(None)
    (state,) = policy.initial_state([ops.zeros((5, 2))]).tensors
    leaves = keras.tree.flatten(state)
    assert [tuple(leaf.shape) for leaf in leaves] == [(5, 2)] * 4
    assert policy.count_params() < 300


@pytest.mark.parametrize("units", [(), (8, 0)])
def test_bad_widths_are_named(units):
    with pytest.raises(ValueError, match="`units` must name at least one"):
        policies.FeatureMLP(units=units)
