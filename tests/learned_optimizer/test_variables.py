"""Variables that get a sparse gradient, none, or are not trained."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import LearnedOptimizer
from keras_l2o import policies
from tests.learned_optimizer import helpers
from tests.learned_optimizer.helpers import adam_pair
from tests.learned_optimizer.helpers import fit
from tests.learned_optimizer.helpers import momentum_pair
from tests.learned_optimizer.helpers import rnnprop

pytestmark = pytest.mark.backend

# Words repeat within a batch, and the last two never occur.
WORDS = np.random.default_rng(0).integers(0, 7, size=(32, 4)).astype("int32")


def reader():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            keras.layers.Embedding(9, 5),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clipnorm": 0.05},
        {"global_clipnorm": 0.05},
        {"gradient_accumulation_steps": 2},
    ],
    ids=str,
)
def test_embeddings_train_as_with_a_keras_optimizer(options):
    learned, reference = (
        fit(optimizer, reader(), WORDS).get_weights()
        for optimizer in momentum_pair(**options)
    )
    for left, right, before in zip(learned, reference, reader().get_weights()):
        np.testing.assert_allclose(left, right, 1e-4, 1e-5)
        assert np.abs(left - before).max() > 1e-3
    np.testing.assert_array_equal(learned[0][7:], reader().get_weights()[0][7:])


@pytest.mark.parametrize(
    "policy",
    [
        lambda: policies.FeatureMLP(units=(4,)),
        lambda: policies.RNNProp(units=(3,)),
        lambda: policies.Choice(
            [policies.Adam(0.01), policies.SGD(0.1)], units=(3,)
        ),
    ],
    ids=["feature_mlp", "rnnprop", "choice"],
)
def test_words_that_never_occur_stay_exactly_as_they_were(policy):
    policy = policy()
    policy.build()
    rng = np.random.default_rng(3)
    policy.set_weights(
        [rng.normal(scale=0.3, size=w.shape) for w in policy.get_weights()]
    )
    table = fit(LearnedOptimizer(policy), reader(), WORDS).get_weights()[0]
    before = reader().get_weights()[0]
    np.testing.assert_array_equal(table[7:], before[7:])
    assert (table[:7] != before[:7]).all()


@pytest.mark.parametrize("jit_compile", [False, "auto"])
def test_embeddings_train_with_a_recurrent_policy(jit_compile):
    model = fit(
        rnnprop(warmup_steps=2), reader(), WORDS, jit_compile=jit_compile
    )
    table = model.get_weights()[0]
    assert np.isfinite(table).all()
    assert np.abs(table - reader().get_weights()[0]).max() > 1e-3


def forked():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(4, activation="tanh", name="trunk")(inputs)
    outputs = [
        keras.layers.Dense(3, name="used")(hidden),
        keras.layers.Dense(2, name="unused")(hidden),
    ]
    return keras.Model(inputs, outputs)


def fit_forked(optimizer):
    """Trains one of two branches; returns the weights and the warnings."""
    model = forked()
    targets = [helpers.TARGETS, helpers.TARGETS[:, :2]]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(optimizer, model, targets=targets, loss=["mse", None])
    said = [str(w.message) for w in caught if w.category is UserWarning]
    return {v.path: v.numpy() for v in model.variables}, said


@pytest.mark.parametrize(
    "pair",
    [
        momentum_pair,
        lambda: (
            LearnedOptimizer(keras.optimizers.Adam(0.05)),
            keras.optimizers.Adam(0.05),
        ),
    ],
    ids=["policy", "keras_optimizer"],
)
def test_a_branch_without_loss_is_left_alone_with_keras_own_warning(pair):
    (learned, said), (reference, expected) = map(fit_forked, pair())
    assert set(said) == set(expected)
    if keras.backend.backend() != "jax":  # whose gradients are zeros there
        assert any("Gradients do not exist" in message for message in said)
    for variable in forked().variables:
        if "unused" in variable.path:
            np.testing.assert_array_equal(
                learned[variable.path], variable.numpy()
            )
        np.testing.assert_allclose(
            learned[variable.path], reference[variable.path], 1e-4, 1e-5
        )


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_a_gradient_may_come_and_go():
    # Three steps of one variable, of which the second finds no gradient:
    # the other's moments go on, its own wait.
    gradient = ops.convert_to_tensor(np.array([0.3, -0.2], "float32"))
    variables = [keras.Variable(np.zeros(2, "float32")) for _ in range(2)]
    optimizer = helpers.momentum_pair()[0]
    for present in (True, False, True):
        optimizer.apply([gradient, gradient if present else None], variables)
    steps = [0.05 * s * np.array([0.3, -0.2]) for s in (1, 1.9, 2.71)]
    np.testing.assert_allclose(variables[0].numpy(), -sum(steps), 1e-5)
    np.testing.assert_allclose(variables[1].numpy(), -sum(steps[:2]), 1e-5)


def test_a_subset_of_the_variables_can_be_trained():
    gradient = ops.ones((2,))
    variables = [keras.Variable(np.zeros(2, "float32")) for _ in range(2)]
    optimizer = rnnprop()
    optimizer.build(variables)
    optimizer.apply([gradient], variables[1:])
    assert np.abs(variables[1].numpy()).min() > 0.0
    np.testing.assert_array_equal(variables[0].numpy(), [0.0, 0.0])


def test_a_variable_it_was_not_built_with_is_refused():
    variables = [keras.Variable(np.zeros(2, "float32")) for _ in range(2)]
    optimizer = rnnprop()
    optimizer.build(variables[:1])
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.apply([ops.ones((2,))], variables[1:])


def test_frozen_layers_stay_and_have_no_state():
    trained = []
    for optimizer in adam_pair():
        model = helpers.network()
        model.layers[0].trainable = False
        trained.append(fit(optimizer, model).get_weights())
    for left, right in zip(*trained):
        np.testing.assert_allclose(left, right, 1e-4, 1e-5)
    for left, before in zip(trained[0][:2], helpers.network().get_weights()):
        np.testing.assert_array_equal(left, before)


@pytest.mark.filterwarnings("ignore:The model does not have any trainable")
@pytest.mark.parametrize("make", [rnnprop, lambda: adam_pair()[1]])
def test_a_model_with_nothing_to_train_runs(make):
    model = helpers.network()
    model.trainable = False
    fit(make(), model)
    np.testing.assert_array_equal(
        helpers.weights(model), helpers.weights(helpers.network())
    )


def test_scalar_variables_train():
    variable = keras.Variable(np.float32(1.0))
    optimizer = rnnprop()
    optimizer.apply([ops.ones(())], [variable])
    assert variable.numpy() != 1.0
