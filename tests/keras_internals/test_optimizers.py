"""What the names inside Keras's optimizers mean: one that fails says which."""

import importlib

import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import keras_internals
from keras_l2o.keras_internals import optimizers

pytestmark = pytest.mark.backend

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow's alone"
)


def two_variables():
    return [
        keras.Variable([1.0, 2.0], name="first"),
        keras.Variable([3.0], name="second"),
    ]


class Recorder(keras_internals.WholeModelOptimizer):
    """Remembers what each step hands over, and updates nothing."""

    def __init__(self, **kwargs):
        super().__init__(learning_rate=0.5, **kwargs)
        self.steps = lambda: None

    def build(self, variables):
        super().build(variables)
        steps = []
        self.steps = lambda: steps  # lists would be tracked

    def update_all(self, gradients, variables, learning_rate):
        gradients = [ops.convert_to_numpy(g) for g in gradients]
        row = gradients, list(variables), float(learning_rate)
        self.steps().append(row)


def test_keras_calls_backend_update_step_once_for_all_variables():
    variables = two_variables()
    optimizer = Recorder(clipvalue=2.0)
    optimizer.build(variables)
    optimizer.apply([ops.ones((2,)), 5.0 * ops.ones((1,))])
    ((gradients, updated, rate),) = optimizer.steps()
    assert [g.tolist() for g in gradients] == [[1.0, 1.0], [2.0]], "not clipped"
    assert [v.path for v in updated] == [v.path for v in variables]
    assert rate == 0.5


def test_keras_decays_weights_in_apply_weight_decay_alone():
    variables = two_variables()
    optimizer = Recorder(weight_decay=0.1)
    optimizer.build(variables)
    optimizer.apply([ops.ones((2,)), ops.ones((1,))])
    kept = [ops.convert_to_numpy(v).tolist() for v in variables]
    assert kept == [[1.0, 2.0], [3.0]]


def test_get_variable_index_is_the_place_among_the_built_variables():
    variables = two_variables()
    optimizer = Recorder()
    optimizer.build(variables)
    assert [optimizer.index_of(v) for v in reversed(variables)] == [1, 0]


def test_use_weight_decay_is_what_exclude_from_weight_decay_says():
    variables = two_variables()
    optimizer = Recorder(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["second"])
    optimizer.build(variables)
    assert [optimizer.is_decayed(v) for v in variables] == [True, False]


def test_a_step_over_all_variables_must_be_defined():
    optimizer = keras_internals.WholeModelOptimizer(learning_rate=1.0)
    with pytest.raises(NotImplementedError, match="update_all"):
        optimizer.update_all([], [], 1.0)


def test_trainable_variables_are_those_of_build():
    variables = two_variables()
    optimizer = keras.optimizers.SGD()
    assert keras_internals.trained_variables(optimizer) == []
    optimizer.build(variables)
    found = keras_internals.trained_variables(optimizer)
    assert [id(v) for v in found] == [id(v) for v in variables]
    found.clear()  # the optimizer's own list stays
    assert len(keras_internals.trained_variables(optimizer)) == 2


def test_learning_rate_is_held_by_a_variable_unless_it_is_scheduled():
    optimizer = keras.optimizers.SGD(0.25)
    variable = keras_internals.learning_rate_variable(optimizer)
    assert any(variable is other for other in optimizer.variables)
    optimizer.learning_rate = 0.75
    assert float(variable.numpy()) == 0.75
    for rate in (keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5),
                 lambda: 0.5):  # fmt: skip
        scheduled = keras.optimizers.SGD(rate)
        assert keras_internals.learning_rate_variable(scheduled) is None


@pytest.mark.parametrize("name", ["SGD", "Adafactor", "AdamW", "Muon"])
def test_get_current_learning_rate_gives_every_step_its_rate(name):
    variables = two_variables()
    optimizer = getattr(keras.optimizers, name)(0.5, weight_decay=0.1)
    config = optimizer.get_config()
    keras_internals.set_learning_rate(optimizer, lambda: ops.zeros(()))
    optimizer.build(variables)
    count = len(optimizer.variables)
    optimizer.apply([ops.ones((2,)), ops.ones((1,))])
    assert float(optimizer.learning_rate) == 0.0
    for variable, before in zip(variables, two_variables()):
        np.testing.assert_array_equal(variable.numpy(), before.numpy())
    assert optimizer.get_config() == config
    assert len(optimizer.variables) == count
    keras_internals.set_learning_rate(optimizer, None)
    keras_internals.set_learning_rate(optimizer, None)
    assert float(optimizer.learning_rate) == 0.5
    optimizer.apply([ops.ones((2,)), ops.ones((1,))])
    assert not np.allclose(variables[0].numpy(), two_variables()[0].numpy())


def test_iterations_counts_the_gradients_given():
    variables = two_variables()
    optimizer = keras.optimizers.SGD(gradient_accumulation_steps=2)
    optimizer.build(variables)
    for _ in range(3):
        optimizer.apply([ops.ones((2,)), ops.ones((1,))])
    assert keras_internals.batches_seen(optimizer) == 3
    assert int(optimizer.iterations) == 1


def test_distribution_strategy_is_the_one_an_optimizer_was_made_under():
    optimizer = keras.optimizers.SGD()
    found = keras_internals.distribution_strategy(optimizer)
    if keras.backend.backend() != "tensorflow":
        assert found is None
        return
    import tensorflow as tf

    assert found is tf.distribute.get_strategy()
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    with strategy.scope():
        optimizer = keras.optimizers.SGD()
    assert keras_internals.distribution_strategy(optimizer) is strategy


@on_tensorflow
def test_all_that_keras_overrides_for_distribution_is_taken_back():
    from keras.src.backend.tensorflow.optimizer import TFOptimizer
    from keras.src.optimizers.base_optimizer import BaseOptimizer

    overrides = {
        name
        for name in {*vars(TFOptimizer)} & {*vars(BaseOptimizer)}
        if not name.startswith("__")
    }
    assert overrides == set(optimizers.DISTRIBUTED)


@on_tensorflow
@pytest.mark.parametrize("name", ["Adam", "Nadam"])
def test_without_distribution_an_optimizer_is_a_function(name):
    cls = getattr(keras.optimizers, name)
    functional = keras_internals.without_distribution(cls)(0.1)
    plain = cls(0.1)
    variables, others = two_variables(), two_variables()
    functional.build(variables)
    plain.build(others)
    gradients = [ops.ones((2,)), -ops.ones((1,))]
    values, _ = functional.stateless_apply(
        [v.value for v in functional.variables],
        gradients,
        [v.value for v in variables],
    )
    plain.apply(gradients)
    for value, before, other in zip(values, two_variables(), others):
        np.testing.assert_allclose(value, other.numpy(), rtol=1e-6)
        assert not np.allclose(value, before.numpy())


@pytest.mark.parametrize(
    "name",
    [
        "_apply_weight_decay",
        "_backend_update_step",
        "_get_current_learning_rate",
        "_get_variable_index",
        "_use_weight_decay",
    ],
)
def test_a_method_that_keras_lacks_is_named_at_import(name, monkeypatch):
    for cls in keras.optimizers.Optimizer.__mro__:
        if name in vars(cls):
            monkeypatch.delattr(cls, name)
    with pytest.raises(ImportError, match=rf"keras .* has no `.*\.{name}`"):
        importlib.reload(optimizers)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (keras_internals.trained_variables, "_trainable_variables"),
        (keras_internals.learning_rate_variable, "_learning_rate"),
        pytest.param(
            keras_internals.distribution_strategy,
            "_distribution_strategy",
            marks=on_tensorflow,
        ),
        (keras_internals.batches_seen, "_iterations"),
    ],
)
def test_an_attribute_that_keras_lacks_is_named_at_use(function, name):
    class Bare:
        pass

    with pytest.raises(ImportError, match=rf"Bare\.{name}`"):
        function(Bare())
