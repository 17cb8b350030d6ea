import keras
import numpy as np
import pytest

from keras_l2o import keras_internals
from keras_l2o.keras_internals import variables

pytestmark = pytest.mark.backend


def test_only_states_of_seed_generators_are_seed_states():
    first, second = (keras.random.SeedGenerator(seed) for seed in (1, 2))
    dropout = keras.layers.Dropout(0.5).seed_generator
    for generator in (first, second, dropout):
        assert keras_internals.is_seed_state(generator.state)
    assert not keras_internals.is_seed_state(
        keras.Variable([1, 0], trainable=False)
    )


def test_a_keras_that_names_seed_states_otherwise_is_named(monkeypatch):
    monkeypatch.setattr(variables, "_SEED_STATE", "as_it_was")
    variables._seed_state_name.cache_clear()
    with pytest.raises(ImportError, match="as_it_was"):
        keras_internals.is_seed_state(keras.Variable(1.0))
    variables._seed_state_name.cache_clear()


def test_layout_is_none_where_nothing_is_sharded():
    assert keras_internals.layout(keras.Variable(1.0)) is None
    assert keras_internals.layout(np.zeros(3)) is None


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Keras shards on JAX"
)
def test_layout_is_what_a_variable_was_made_with():
    mesh = keras.distribution.DeviceMesh(
        (1, 1), ["batch", "model"], keras.distribution.list_devices()[:1]
    )
    given = keras.distribution.TensorLayout((None, "model"), mesh)
    variable = keras.Variable(np.zeros((2, 3)), layout=given)
    assert keras_internals.layout(variable) is given


def test_a_variable_without_a_layout_is_named():
    variable = keras.Variable(1.0)
    del variable._layout
    with pytest.raises(ImportError, match=r"\._layout`"):
        keras_internals.layout(variable)
