"""Averages of the weights, by Keras's own callback."""

import keras
import numpy as np
import pytest

from keras_l2o import LearnedOptimizer
from keras_l2o import policies

pytestmark = pytest.mark.backend

X, Y = np.ones((8, 1), "float32"), np.zeros((8, 1), "float32")
STEPS = 4  # in an epoch
MOMENTUM = 0.75


class Plain(policies.Policy):
    """Gradient descent, with the state of each variable on its own."""

    def initial_state(self, parameters):
        return policies.SGD(0.1).initial_state(parameters)

    def update(self, gradients, parameters, state, training=False):
        updates = [0.1 * gradient for gradient in gradients]
        return updates, state._replace(step=state.step + 1)


POLICIES = {
    "FlatState": lambda: policies.SGD(0.1),
    "TensorState": lambda: Plain(),
}


def expected(epochs):
    """The weight and its average after each epoch; both are 1 at first.

    The loss is the weight's square: a step multiplies the weight by 0.8.
    """
    weight, average, rows = 1.0, 0.0, []
    for step in range(epochs * STEPS):
        weight *= 0.8
        momentum = MOMENTUM if step else 0.0
        average = momentum * average + (1 - momentum) * weight
        if (step + 1) % STEPS == 0:
            rows.append((weight, average))
    return np.transpose(rows)


def make(form):
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, "linear", False, kernel_initializer="ones"),
        ]
    )
    optimizer = LearnedOptimizer(
        POLICIES[form](), use_ema=True, ema_momentum=MOMENTUM
    )
    model.compile(optimizer, loss="mse")
    optimizer.build(model.trainable_variables)
    assert type(optimizer._policy_state()).__name__ == form
    return model


def fit(model, epochs, *callbacks, **options):
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    return model.fit(
        X, Y, batch_size=2, epochs=epochs, verbose=0, shuffle=False,
        callbacks=[swap, *callbacks], **options,
    )  # fmt: skip


def weight(model):
    return float(np.ravel(model.get_weights()[0])[0])


@pytest.mark.parametrize("form", POLICIES)
def test_averages_are_evaluated_saved_and_at_last_the_models(form, tmp_path):
    model = make(form)
    save = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5", save_weights_only=True
    )
    history = fit(model, 3, save, validation_data=(X, Y)).history
    weights, averages = expected(3)
    assert np.abs(weights - averages).min() > 0.05
    np.testing.assert_allclose(history["val_loss"], averages**2, rtol=1e-5)
    np.testing.assert_allclose(weight(model), averages[-1], rtol=1e-5)
    loaded = make(form)
    for epoch, average in enumerate(averages, start=1):
        loaded.load_weights(tmp_path / f"{epoch}.weights.h5")
        np.testing.assert_allclose(weight(loaded), average, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(
        tmp_path / "model.keras", custom_objects={"Plain": Plain}
    )
    np.testing.assert_allclose(weight(loaded), averages[-1], rtol=1e-5)


def test_averages_do_not_change_the_training():
    ends = []
    for form in POLICIES:
        model = make(form)
        history = fit(model, 3).history["loss"]
        ends.append(history)
    np.testing.assert_allclose(*ends, rtol=1e-5)
    weights, _ = expected(3)
    # The mean of the losses in an epoch, each before its step.
    starts = np.concatenate([[1.0], weights[:-1]])
    means = [np.mean([(s * 0.8**k) ** 2 for k in range(STEPS)]) for s in starts]
    np.testing.assert_allclose(ends[0], means, rtol=1e-5)
