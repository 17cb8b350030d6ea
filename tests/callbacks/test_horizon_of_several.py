"""The horizon of models with several optimizers."""

import keras
import numpy as np
import pytest

from keras_l2o.callbacks import Horizon
from tests.callbacks.test_horizon import Sum
from tests.callbacks.test_horizon import X
from tests.callbacks.test_horizon import assert_near
from tests.callbacks.test_horizon import cosine
from tests.callbacks.test_horizon import learned
from tests.callbacks.test_horizon import sgd
from tests.training.test_horizon import Progress

pytestmark = pytest.mark.backend


class Two(keras.Model):
    """Two weights, each with an optimizer, and that of `compile` for none."""

    def __init__(self, *optimizers):
        super().__init__()
        self.own = [keras.layers.Dense(1, use_bias=False) for _ in optimizers]
        self.first, *others = optimizers
        self.others = {"second": others[0]}
        for layer in self.own:
            layer.build((None, 1))

    def call(self, inputs):
        return sum(layer(inputs) for layer in self.own)

    def train_step(self, data):
        both = zip(self.own, (self.first, self.others["second"]))
        for layer, optimizer in both:
            ones = keras.ops.ones((1, 1))
            optimizer.apply([ones], layer.trainable_variables)
        return {"loss": keras.ops.zeros(())}


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="a `train_step` has no state there"
)
def test_optimizers_that_a_model_has_as_attributes_are_told():
    rate = 0.5 * np.arange(8) / 8
    model = Two(learned(Progress()), sgd())
    model.compile()
    model(X)
    for _ in range(2):
        before = [float(np.ravel(w)[0]) for w in model.get_weights()]
        model.fit(
            X, X, batch_size=2, epochs=2, verbose=0, callbacks=[Horizon()]
        )
        after = [float(np.ravel(w)[0]) for w in model.get_weights()]
        moved = np.subtract(before, after)
        assert_near(moved, [rate.sum(), cosine(8, rate=0.5).sum()])
    assert float(model.others["second"].learning_rate) == 0.5


def test_parts_of_a_multi_optimizer_are_told_and_saved(tmp_path):
    """A learned one for matrices, one of Keras's for all else."""

    def new():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        parts = keras.optimizers.OptimizerMap(
            sgd(), {".*/kernel": learned(Progress())}
        )
        optimizer = keras.optimizers.MultiOptimizer(parts)
        model.compile(optimizer, loss=Sum())
        return model

    model = new()
    before = np.concatenate([np.ravel(w) for w in model.get_weights()])
    model.fit(X, X, batch_size=2, epochs=3, verbose=0, callbacks=[Horizon()])
    after = np.concatenate([np.ravel(w) for w in model.get_weights()])
    rate = 0.5 * np.arange(12) / 12
    assert_near(before - after, [rate.sum(), cosine(12, rate=0.5).sum()])
    model.save(tmp_path / "model.keras")
    custom_objects = {"Sum": Sum, "Progress": Progress}
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects)
    for part in (model, loaded):
        part.fit(X, X, batch_size=2, epochs=1, verbose=0)
    for kept, found in zip(
        [*model.weights, *model.optimizer.variables],
        [*loaded.weights, *loaded.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(kept), keras.ops.convert_to_numpy(found)
        )
