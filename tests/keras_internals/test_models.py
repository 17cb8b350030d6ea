import keras
import numpy as np
import pytest

from keras_l2o import keras_internals

pytestmark = pytest.mark.backend


def fitted(cls=keras.Sequential):
    model = cls([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    return model


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow's alone"
)
def test_fit_builds_a_model_by_maybe_symbolic_build(monkeypatch):
    calls = []

    class Recorder(keras.Sequential):
        def _maybe_symbolic_build(self, iterator=None, data_batch=None):
            calls.append((iterator, data_batch))

    fitted(Recorder)
    assert calls, "`StatefulStep` would override what Keras does not call"
    keras_internals.check_symbolic_build()
    for cls in keras.Model.__mro__:
        if "_maybe_symbolic_build" in vars(cls):
            monkeypatch.delattr(cls, "_maybe_symbolic_build")
    with pytest.raises(ImportError, match="_maybe_symbolic_build"):
        keras_internals.check_symbolic_build()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX's alone")
def test_jax_state_is_what_a_train_step_takes():
    model = fitted()
    trainable, fixed, optimizer, metrics = keras_internals.jax_state(model)
    for values, variables in (
        (trainable, model.trainable_variables),
        (fixed, model.non_trainable_variables),
        (optimizer, model.optimizer.variables),
        (metrics, model.metrics_variables),
    ):
        for value, variable in zip(values, variables, strict=True):
            np.testing.assert_array_equal(value, variable.value)


def test_a_model_without_a_jax_state_is_named():
    class Bare:
        pass

    with pytest.raises(ImportError, match=r"Bare\._get_jax_state`"):
        keras_internals.jax_state(Bare())
