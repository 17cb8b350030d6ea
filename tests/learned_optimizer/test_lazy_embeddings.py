"""Rows of embeddings that wait while they have no gradient."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_l2o import LearnedOptimizer
from keras_l2o import policies
from keras_l2o import table_state

ROWS, COLUMNS = 50, 4
RNG = np.random.default_rng(0)
#: Row 0 is never looked up, and row 1 in every batch.
INPUTS = RNG.integers(1, ROWS, (48, 3)).astype("int32")
INPUTS[::4, 0] = 1
TARGETS = RNG.normal(size=(48, 2)).astype("float32")


@pytest.fixture(autouse=True)
def small_tables(monkeypatch):
    monkeypatch.setattr(table_state, "LEAST_ROWS", ROWS)


def network():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,), dtype="int32")
    x = layers.Flatten()(layers.Embedding(ROWS, COLUMNS)(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.Dense(5, "tanh")(x)))


def fit(optimizer, epochs=2):
    model = network()
    model.compile(optimizer, "mse")
    model.fit(
        INPUTS, TARGETS, batch_size=4, epochs=epochs, shuffle=False, verbose=0
    )
    return model


def there(gradient):
    """Ones for the coordinates of rows with a gradient, zeros elsewhere."""
    if tuple(gradient.shape) != (ROWS, COLUMNS):
        return ops.ones_like(gradient)
    some = ops.any(ops.not_equal(gradient, 0.0), axis=1, keepdims=True)
    return ops.ones_like(gradient) * ops.cast(some, gradient.dtype)


@keras.saving.register_keras_serializable(package="tests")
class Waiting(policies.Policy):
    """The plain form: all rows are computed, and some do not move."""

    def __init__(self, rule, **kwargs):
        super().__init__(**kwargs)
        self.rule = rule

    def initial_state(self, parameters):
        return self.rule.initial_state(parameters)

    def update(self, gradients, parameters, state, training=False):
        updates, state = self.rule.update(
            gradients, parameters, state, training
        )
        return [u * there(g) for u, g in zip(updates, gradients)], state


class WaitingGeneral(policies.General):
    """`General`, whose measures see what moves alone."""

    def find_directions(self, run, clock, training):
        found = super().find_directions(run, clock, training)
        mask = run.layout.join([there(g) for g in run.gradients])
        direction = found.direction * mask
        means = list(found.means)
        means[1] = run.layout.means([ops.square(direction)])[0]
        return found._replace(direction=direction, means=means)


def trained(make):
    """A policy whose networks do something."""
    keras.utils.set_random_seed(3)
    policy = make()
    policy.build()
    for weight in policy.weights:
        noise = 0.1 * np.random.default_rng(4).normal(size=weight.shape)
        weight.assign(weight + ops.cast(noise, weight.dtype))
    return policy


RULES = {
    "feature_mlp": lambda **k: policies.FeatureMLP(0.03, **k),
    "general": lambda **k: policies.General(**k),
    "orthogonal": lambda **k: policies.General(orthogonal=True, **k),
}


def pair(name):
    """An optimizer whose rows wait, and its plain form."""
    lazy = trained(RULES[name])
    plain = lazy
    if name != "feature_mlp":
        plain = WaitingGeneral(orthogonal=name == "orthogonal")
        plain.build()
        plain.set_weights(lazy.get_weights())
    return (
        LearnedOptimizer(lazy, lazy_embeddings=True),
        LearnedOptimizer(Waiting(plain)),
    )


def assert_close(one, other, tolerance=1e-5):
    for a, b in zip(one, other):
        a, b = ops.convert_to_numpy(a), ops.convert_to_numpy(b)
        np.testing.assert_allclose(a, b, tolerance, tolerance)


@pytest.mark.backend
@pytest.mark.parametrize("name", RULES)
def test_rows_wait_as_in_the_plain_form(name):
    lazy, plain = pair(name)
    models = [fit(lazy), fit(plain)]
    assert_close(*(model.get_weights() for model in models))
    states = [keras.tree.flatten(o.policy_state.tensors) for o in (lazy, plain)]
    assert_close(*states)
    assert isinstance(lazy._policy_state(), table_state.WithTables)
    before, after = (m.get_weights()[0] for m in (network(), models[0]))
    np.testing.assert_array_equal(after[0], before[0])
    assert np.abs(after[1] - before[1]).max() > 1e-3


@pytest.mark.backend
@pytest.mark.parametrize("name", RULES)
def test_with_all_rows_in_each_step_it_is_what_the_whole_table_is(name):
    policy = trained(RULES[name])
    rng = np.random.default_rng(5)
    values = rng.normal(size=(ROWS, COLUMNS)).astype("float32")
    results = []
    for lazy in (True, False):
        layer = layers.Embedding(ROWS, COLUMNS)
        layer.build()
        table = layer.embeddings
        table.assign(values)
        optimizer = LearnedOptimizer(policy.copy(), lazy_embeddings=lazy)
        gradients = np.random.default_rng(6).normal(size=(5, *values.shape))
        for gradient in gradients.astype("float32"):
            optimizer.apply([ops.convert_to_tensor(gradient)], [table])
        results.append([table, *keras.tree.flatten(optimizer.policy_state)])
    # An iteration over columns rounds otherwise than one over the table.
    assert_close(*results, 2e-5 if name == "orthogonal" else 1e-6)


@pytest.mark.backend
def test_steps_that_do_not_count_change_nothing():
    optimizer, _ = pair("orthogonal")
    model = fit(optimizer, epochs=1)
    arrays = [*model.get_weights(), *optimizer._policy_state().variables]
    before = [np.array(ops.convert_to_numpy(array)) for array in arrays]
    model.layers[-1].bias.assign([np.nan, 0.0])
    model.train_on_batch(INPUTS[:4], TARGETS[:4])
    assert int(optimizer.skipped_steps) == 1
    model.layers[-1].bias.assign(before[len(model.weights) - 1])
    arrays = [*model.get_weights(), *optimizer._policy_state().variables]
    for old, new in zip(before, arrays):
        np.testing.assert_array_equal(old, ops.convert_to_numpy(new))


@pytest.mark.parametrize(
    ("name", "lazy"), [("feature_mlp", False), ("orthogonal", True)]
)
def test_a_saved_model_goes_on_in_either_form(name, lazy, tmp_path):
    optimizer, _ = pair(name)
    model = fit(optimizer, epochs=1)
    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.models.load_model(path)
    assert again.optimizer.lazy_embeddings is True
    if not lazy:
        config = {**optimizer.get_config(), "lazy_embeddings": False}
        again.compile(LearnedOptimizer.from_config(config), "mse")
        again.optimizer.build(again.trainable_variables)
        store = {}
        optimizer.save_own_variables(store)
        again.optimizer.load_own_variables(store)
    states = [o.policy_state.tensors for o in (optimizer, again.optimizer)]
    assert_close(*map(keras.tree.flatten, states), 1e-6)
    for trained in (model, again):
        trained.fit(INPUTS[:4], TARGETS[:4], batch_size=4, verbose=0)
    state = again.optimizer._policy_state()
    assert isinstance(state, table_state.WithTables) is lazy
    if lazy:
        assert_close(model.get_weights(), again.get_weights())


def test_weights_of_rows_with_a_gradient_decay():
    policy = trained(RULES["feature_mlp"])
    tables = []
    for decay in (None, 0.5):
        optimizer = LearnedOptimizer(
            policy.copy(), lazy_embeddings=True, weight_decay=decay,
            weight_decay_rate=0.1,
        )  # fmt: skip
        layer = layers.Embedding(ROWS, COLUMNS)
        layer.build()
        layer.embeddings.assign(np.ones((ROWS, COLUMNS)))
        gradient = np.zeros((ROWS, COLUMNS), "float32")
        gradient[3] = 1.0
        optimizer.apply([ops.convert_to_tensor(gradient)], [layer.embeddings])
        tables.append(ops.convert_to_numpy(layer.embeddings))
    fallen = tables[0] - tables[1]
    np.testing.assert_allclose(fallen[3], 0.05, 1e-4)
    np.testing.assert_array_equal(np.delete(fallen, 3, 0), 0.0)


@pytest.mark.backend
def test_a_batch_without_any_gradient_moves_nothing():
    optimizer = LearnedOptimizer(trained(RULES["orthogonal"]))
    layer = layers.Embedding(ROWS, COLUMNS)
    layer.build()
    before = ops.convert_to_numpy(layer.embeddings)
    gradient = ops.zeros((ROWS, COLUMNS))
    optimizer.apply([gradient], [layer.embeddings])
    np.testing.assert_array_equal(
        ops.convert_to_numpy(layer.embeddings), before
    )


@pytest.mark.parametrize(
    "options",
    [
        {"lazy_embeddings": False},
        {"state_dtype": "bfloat16"},
        {"warmup_steps": 2},
    ],
)
def test_what_does_not_wait_is_updated_as_a_whole(options):
    optimizer = LearnedOptimizer(policies.FeatureMLP(), **options)
    fit(optimizer, epochs=1)
    assert not optimizer._policy_state().tables


def test_rules_that_cannot_wait_update_the_whole_table():
    optimizer = LearnedOptimizer(policies.Adam(), lazy_embeddings=True)
    fit(optimizer, epochs=1)
    assert not optimizer._policy_state().tables


@keras.saving.register_keras_serializable(package="tests")
class Sign(policies.CoordinatewisePolicy):
    """A rule without a state, or with one that does not start at zero."""

    rests = True

    def __init__(self, start=None, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def tensor_state(self, parameter):
        zeros = self.zeros(parameter)
        return () if self.start is None else {"size": zeros + self.start}

    def tensor_update(self, gradient, parameter, state, step):
        size = 1.0 if self.start is None else state["size"]
        return 0.01 * size * ops.sign(gradient), state

    def rested(self, tensor, steps):
        return tensor


@pytest.mark.parametrize("start", [None, 2.0])
def test_rules_of_ones_own_can_wait(start):
    lazy, plain = (
        LearnedOptimizer(Sign(start), lazy_embeddings=lazy)
        for lazy in (True, False)
    )
    assert_close(fit(lazy).get_weights(), fit(plain).get_weights())
    assert lazy._policy_state().tables
    lazy._policy_state().reset()
    for one, other in zip(
        keras.tree.flatten(lazy.policy_state.tensors),
        keras.tree.flatten(plain.policy_state.tensors),
    ):
        np.testing.assert_array_equal(one, other)


def test_only_large_embeddings_wait(monkeypatch):
    monkeypatch.setattr(table_state, "LEAST_ROWS", ROWS + 1)
    optimizer = LearnedOptimizer(policies.FeatureMLP(), lazy_embeddings=True)
    fit(optimizer, epochs=1)
    assert not optimizer._policy_state().tables


def test_what_is_no_bool_is_refused():
    with pytest.raises(ValueError, match="lazy_embeddings"):
        LearnedOptimizer(policies.FeatureMLP(), lazy_embeddings="yes")


def test_gradients_that_have_become_dense_do_as_well():
    options = {"gradient_accumulation_steps": 2, "clipnorm": 0.1}
    lazy, plain = (
        LearnedOptimizer(
            optimizer.policy,
            lazy_embeddings=optimizer.lazy_embeddings,
            **options,
        )
        for optimizer in pair("feature_mlp")
    )
    assert_close(fit(lazy).get_weights(), fit(plain).get_weights())
