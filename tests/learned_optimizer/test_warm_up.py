import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import LearnedOptimizer
from keras_l2o import policies
from tests.learned_optimizer.helpers import assert_alike
from tests.learned_optimizer.helpers import fit
from tests.learned_optimizer.helpers import rnnprop
from tests.learned_optimizer.helpers import weights

pytestmark = pytest.mark.backend

GRADIENTS = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


def path(optimizer, gradients=GRADIENTS):
    """The positions through which the optimizer goes."""
    variable = keras.Variable(np.zeros(4, "float32"))
    positions = []
    for gradient in gradients:
        optimizer.apply([ops.convert_to_tensor(gradient)], [variable])
        positions.append(np.copy(variable.numpy()))
    return np.array(positions)


def test_the_first_steps_are_gradient_descent():
    optimizer = rnnprop(warmup_steps=3, warmup_rate=0.2)
    positions = path(optimizer)
    np.testing.assert_allclose(
        positions[:3], -0.2 * np.cumsum(GRADIENTS[:3], 0), 1e-5
    )
    descent = -0.2 * np.cumsum(GRADIENTS, 0)
    assert np.abs(positions[3] - descent[3]).max() > 1e-3


def test_after_warm_up_the_policy_starts_with_moments_and_without_memory():
    optimizer = rnnprop(warmup_steps=3)
    positions = path(optimizer)
    policy = optimizer.policy
    parameters = [ops.zeros((4,))]
    state = policy.initial_state(parameters)
    for step in range(3):
        state = policy.warm_up(
            [ops.convert_to_tensor(GRADIENTS[step])], parameters, state
        )
    assert float(ops.max(ops.abs(state.tensors[0].recurrent[0][0]))) == 0.0
    assert float(ops.max(ops.abs(state.tensors[0].moments.first))) > 0.0
    expected = []
    for step in (3, 4):
        (update,), state = policy.update(
            [ops.convert_to_tensor(GRADIENTS[step])], parameters, state
        )
        expected.append(ops.convert_to_numpy(ops.stop_gradient(update)))
    np.testing.assert_allclose(
        positions[2:4] - positions[3:5], expected, 1e-3, 1e-6
    )


def test_warm_up_of_adam_is_adam_from_then_on():
    warm = path(LearnedOptimizer(policies.Adam(0.1), warmup_steps=2))
    plain = path(LearnedOptimizer(policies.Adam(0.1)))
    np.testing.assert_allclose(
        np.diff(warm[1:], axis=0), np.diff(plain[1:], axis=0), 1e-4, 1e-6
    )
    assert np.abs(warm - plain).max() > 1e-2


def test_a_keras_optimizer_warms_up_too():
    positions = path(
        LearnedOptimizer(
            keras.optimizers.SGD(0.5), warmup_steps=2, warmup_rate=0.1
        )
    )
    rates = np.array([0.1, 0.1, 0.5, 0.5, 0.5])[:, None]
    np.testing.assert_allclose(
        positions, -np.cumsum(rates * GRADIENTS, 0), 1e-5
    )


def test_a_policy_that_is_not_finite_during_warm_up_does_no_harm():
    # Its update is computed and not taken; NaN times zero would be NaN.
    class Broken(policies.SGD):
        def tensor_update(self, gradient, parameter, state, step):
            return gradient * float("nan"), state

    positions = path(
        LearnedOptimizer(Broken(), warmup_steps=5, warmup_rate=1.0)
    )
    np.testing.assert_allclose(positions, -np.cumsum(GRADIENTS, 0), 1e-5)


def test_a_whole_warm_up_fits_as_stochastic_gradient_descent():
    learned = fit(rnnprop(warmup_steps=8, warmup_rate=0.1))
    assert_alike(learned, fit(keras.optimizers.SGD(0.1)))
    further = fit(rnnprop(warmup_steps=7, warmup_rate=0.1))
    assert np.abs(weights(further) - weights(learned)).max() > 1e-4


@pytest.mark.parametrize("steps", [-1, 1.5, "3", None])
def test_warm_up_steps_must_be_a_count(steps):
    with pytest.raises(ValueError, match="Argument `warmup_steps` must be"):
        rnnprop(warmup_steps=steps)


@pytest.mark.parametrize("rate", [-0.1, float("nan"), None, "fast"])
def test_warm_up_rate_must_be_a_rate(rate):
    with pytest.raises(ValueError, match="Argument `warmup_rate` must be"):
        rnnprop(warmup_rate=rate)
