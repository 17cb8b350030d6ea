import jax
import keras
import numpy as np
import optax
import pytest
from keras import ops

from keras_l2o import policies
from tests.policies.helpers import GRADIENTS
from tests.policies.helpers import moments
from tests.policies.helpers import updates

pytestmark = [pytest.mark.backend, pytest.mark.quick]


def keras_updates(optimizer, gradients=GRADIENTS):
    variable = keras.Variable(np.zeros(gradients.shape[1:], "float32"))
    result = []
    for gradient in gradients:
        before = variable.numpy().copy()
        optimizer.apply([ops.convert_to_tensor(gradient)], [variable])
        result.append(before - variable.numpy())
    return np.stack(result)


@pytest.mark.parametrize(
    ("policy", "optimizer"),
    [
        (lambda: policies.SGD(0.1), lambda: keras.optimizers.SGD(0.1)),
        (
            lambda: policies.Momentum(0.1, beta=0.8),
            lambda: keras.optimizers.SGD(0.02, momentum=0.8),
        ),
        (
            lambda: policies.RMSprop(0.1, rho=0.8, epsilon=1e-5),
            lambda: keras.optimizers.RMSprop(0.1, rho=0.8, epsilon=1e-5),
        ),
        (
            lambda: policies.Adam(0.1, beta_1=0.8, beta_2=0.99, epsilon=1e-14),
            lambda: keras.optimizers.Adam(0.1, 0.8, 0.99, epsilon=1e-9),
        ),
    ],
    ids=["sgd", "momentum", "rmsprop", "adam"],
)
def test_step_for_step_as_keras(policy, optimizer):
    np.testing.assert_allclose(
        updates(policy()), keras_updates(optimizer()), 1e-4, 1e-6
    )


def optax_updates(optimizer, gradients):
    result = []
    with jax.enable_x64(True):  # its float32 is off by a percent at first
        parameters = np.zeros(gradients.shape[1:])
        state = optimizer.init(parameters)
        for gradient in gradients.astype("float64"):
            update, state = optimizer.update(gradient, state, parameters)
            result.append(-np.asarray(update))
    return np.stack(result)


@pytest.mark.parametrize("beta_2", [0.999, 0.9, 0.5])
def test_rectified_adam_starts_and_goes_step_for_step_as_optax(beta_2):
    rng = np.random.default_rng(2)
    gradients = rng.normal(size=(30, 5)).astype("float32")
    expected = optax_updates(
        optax.radam(0.1, b2=beta_2, eps=0.0, eps_root=1e-10), gradients
    )
    policy = policies.RectifiedAdam(0.1, beta_2=beta_2)
    np.testing.assert_allclose(updates(policy, gradients), expected, 2e-3, 1e-5)


def test_constant_bias_correction_divides_by_one_minus_the_decay():
    expected = [
        0.2 * (m / 0.1) / np.sqrt(v / 0.001) for g, m, v, _ in moments()
    ]
    policy = policies.Adam(0.2, bias_correction="constant")
    np.testing.assert_allclose(updates(policy), expected, 1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: policies.Adam(beta_1=1.0), r"`beta_1` must be in \[0, 1\)"),
        (lambda: policies.Momentum(beta=-0.1), r"`beta` must be in \[0, 1\)"),
        (lambda: policies.RMSprop(rho=2.0), r"`rho` must be in \[0, 1\)"),
        (lambda: policies.Adam(bias_correction="no"), "`bias_correction`"),
        (lambda: policies.RNNProp(units=()), "`units`"),
        (lambda: policies.as_policy(3), "must be a"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
