import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import backend
from keras_l2o import policies
from tests.policies.helpers import GRADIENTS
from tests.policies.helpers import numpy
from tests.policies.helpers import updates

pytestmark = [pytest.mark.backend, pytest.mark.quick]

RULES = {
    "sgd": policies.SGD,
    "momentum": policies.Momentum,
    "rmsprop": policies.RMSprop,
    "adam": policies.Adam,
    "powersign": policies.PowerSign,
    "addsign": policies.AddSign,
    "adaptive_powersign": policies.AdaptivePowerSign,
    "adaptive_addsign": policies.AdaptiveAddSign,
    "radam": policies.RectifiedAdam,
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_no_weights_unless_asked(name):
    policy = RULES[name]()
    policy.build(None)
    assert not policy.weights


@pytest.mark.parametrize("name", RULES)
def test_trainable_numbers_start_at_their_values(name):
    policy = RULES[name](0.3, trainable_hyperparameters=True)
    expected = updates(RULES[name](0.3))
    np.testing.assert_allclose(updates(policy), expected, 2e-4, 1e-5)
    names = list(policy.hyperparameters)
    assert len(policy.trainable_variables) == len(names)
    for hyperparameter in names:
        np.testing.assert_allclose(
            numpy(policy.hyperparameter(hyperparameter)),
            policy.hyperparameters[hyperparameter],
            1e-5,
        )


def test_the_outer_gradient_of_adams_numbers_is_the_finite_difference():
    policy = policies.Adam(
        0.3,
        beta_1=0.8,
        beta_2=0.9,
        trainable_hyperparameters=["learning_rate", "beta_1", "beta_2"],
    )
    policy.build(None)

    def total(variables):
        mapping = list(zip(policy.trainable_variables, variables))
        with keras.StatelessScope(state_mapping=mapping):
            parameters = [ops.zeros(GRADIENTS.shape[1:])]
            state = policy.initial_state(parameters)
            result = 0.0
            for gradient in GRADIENTS[:4]:
                (update,), state = policy.update(
                    [ops.convert_to_tensor(gradient)], parameters, state
                )
                result += ops.sum(ops.square(update + 0.1))
        return result, ()

    def raw(value):
        return np.log(value / (1 - value))

    def reference(w):
        rate, beta_1, beta_2 = np.exp(w[0]), *(1 / (1 + np.exp(-w[1:])))
        m = v = result = 0.0
        for t, g in enumerate(GRADIENTS[:4].astype("float64"), 1):
            m = beta_1 * m + (1 - beta_1) * g
            v = beta_2 * v + (1 - beta_2) * g**2
            root = np.sqrt(v / (1 - beta_2**t))
            result += np.sum((rate * m / (1 - beta_1**t) / root + 0.1) ** 2)
        return result

    _, gradients = backend.value_and_grad(total)(
        [backend.read(v) for v in policy.trainable_variables]
    )
    start = np.array([np.log(0.3), raw(0.8), raw(0.9)])
    expected = [
        (reference(start + step) - reference(start - step)) / 2e-4
        for step in 1e-4 * np.eye(3)
    ]
    np.testing.assert_allclose([numpy(g) for g in gradients], expected, 1e-3)


@pytest.mark.parametrize("beta_2", [0.999, 0.5])
def test_rectified_adams_trainable_decay_has_a_finite_gradient(beta_2):
    policy = policies.RectifiedAdam(
        beta_2=beta_2, trainable_hyperparameters=["beta_2"]
    )
    policy.build(None)

    def total(variables):
        mapping = list(zip(policy.trainable_variables, variables))
        with keras.StatelessScope(state_mapping=mapping):
            parameters = [ops.zeros(GRADIENTS.shape[1:])]
            state = policy.initial_state(parameters)
            for gradient in GRADIENTS:
                (update,), state = policy.update(
                    [ops.convert_to_tensor(gradient)], parameters, state
                )
        return ops.sum(update), ()

    _, (gradient,) = backend.value_and_grad(total)(
        [backend.read(v) for v in policy.trainable_variables]
    )
    assert np.isfinite(numpy(gradient))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: policies.SGD(trainable_hyperparameters=["rate"]),
            "must name some of learning_rate. Received: 'rate'",
        ),
        (
            lambda: policies.SGD(trainable_hyperparameters="learning_rate"),
            "must be a list of names",
        ),
        (
            lambda: policies.Momentum(beta=0.0, trainable_hyperparameters=True),
            "`beta` must be positive to be trainable",
        ),
    ],
)
def test_what_cannot_be_trained_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
