"""How long `fit` is, as the optimizer sees it."""

import keras
import numpy as np
import pytest

from keras_l2o import LearnedOptimizer
from keras_l2o import policies
from keras_l2o.callbacks import Horizon
from tests.training.test_horizon import Progress

pytestmark = pytest.mark.backend

BATCHES = 4
X = np.ones((2 * BATCHES, 1), "float32")

on_torch = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras refuses it on torch"
)


class Sum(keras.losses.Loss):
    """Its gradient is 1 for a weight whose input is 1."""

    def call(self, y_true, y_pred):
        return y_pred


def one_weight(optimizer, **options):
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False)]
    )
    model.compile(optimizer, loss=Sum(), **options)
    return model


class Weights(keras.callbacks.Callback):
    """The weight before the training and after each batch."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_train_begin(self, logs=None):
        # JAX has the weights in the state that it passes on, not in the model.
        self.values = [self.now()]

    def on_train_batch_end(self, batch, logs=None):
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        self.values.append(self.now())

    def now(self):
        return float(np.ravel(self.model.get_weights()[0])[0])


def strides(model, *callbacks, epochs=3, **options):
    """How far each batch of a `fit` moves the weight down."""
    weights = Weights()
    model.fit(
        X, X, batch_size=2, epochs=epochs, verbose=0,
        callbacks=[*callbacks, weights], **options,
    )  # fmt: skip
    return -np.diff(weights.values)


def cosine(total, begin=0, end=None, rate=1.0):
    progress = np.arange(begin, total if end is None else end) / total
    return rate * 0.5 * (1 + np.cos(np.pi * progress))


def assert_near(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def sgd(rate=0.5, **options):
    return keras.optimizers.SGD(rate, **options)


def learned(policy=None, **options):
    policy = policy or policies.SGD(1.0)
    return LearnedOptimizer(policy, 0.5, **options)


@pytest.mark.parametrize("make", [sgd, learned])
def test_the_rate_follows_a_cosine_within_each_fit_and_is_plain_after(make):
    model = one_weight(make())
    config = model.optimizer.get_config()
    horizon = Horizon()
    assert_near(strides(model, horizon), cosine(12, rate=0.5))
    assert model.optimizer.get_config() == config
    assert float(model.optimizer.learning_rate) == 0.5
    assert_near(strides(model, horizon, epochs=2), cosine(8, rate=0.5))
    assert_near(strides(model, Horizon(), epochs=1), cosine(4, rate=0.5))
    assert_near(strides(model, epochs=1), np.full(4, 0.5))


def test_all_optimizers_of_keras_have_the_rate():
    """Adam's first stride, and the decay of a weight, are the rate's."""
    model = one_weight(keras.optimizers.Adam(0.5))
    found = strides(model, Horizon())
    assert_near(found, cosine(12, rate=0.5))  # the gradient is always 1
    model = one_weight(sgd(weight_decay=0.5))
    before = float(np.ravel(model.get_weights()[0])[0])
    expected = before
    for rate in cosine(12, rate=0.5):
        expected = expected * (1 - 0.5 * rate) - rate
    assert_near(before - strides(model, Horizon()).sum(), expected)


def test_the_rate_rises_linearly_and_then_falls():
    found = strides(one_weight(sgd()), Horizon(warmup=0.25))
    assert_near(found[:3], [0.5 / 3, 1.0 / 3, 0.5])
    assert_near(found[3:], cosine(9, rate=0.5))


@on_torch
def test_steps_in_one_execution_count_each():
    model = one_weight(sgd(), steps_per_execution=2)
    found = strides(model, Horizon())
    assert_near(found, cosine(12, rate=0.5).reshape(-1, 2).sum(1))


def test_accumulated_gradients_are_one_step():
    model = one_weight(sgd(gradient_accumulation_steps=3))
    found = strides(model, Horizon())
    assert_near(found[2::3], cosine(4, rate=0.5))
    # Four batches more are one step, and one batch.
    assert_near(strides(model, Horizon(), epochs=1), [0.0, 0.0, 0.5, 0.0])


def test_a_rate_turned_per_epoch_is_the_cosines_height():
    turn = keras.callbacks.LearningRateScheduler(lambda epoch: 1.0 + epoch)
    found = strides(one_weight(sgd()), Horizon(), turn, epochs=2)
    assert_near(found, cosine(8) * np.repeat([1.0, 2.0], 4))


def test_the_optimizer_within_a_loss_scale_and_a_multi_optimizer_is_told():
    scaled = keras.optimizers.LossScaleOptimizer(sgd(), initial_scale=2.0)
    model = one_weight(scaled)
    assert_near(strides(model, Horizon()), cosine(12, rate=0.5))
    assert_near(strides(model, epochs=1), np.full(4, 0.5))
    scaled = keras.optimizers.LossScaleOptimizer(
        learned(Progress()), initial_scale=2.0
    )
    found = strides(one_weight(scaled), Horizon())
    assert_near(found, 0.5 * np.arange(12) / 12)


@pytest.mark.parametrize("inner", [sgd, lambda: learned(Progress())])
def test_the_optimizers_within_a_multi_optimizer_are_told(inner):
    inner = inner()
    model = one_weight(keras.optimizers.MultiOptimizer(lambda v: inner))
    found = strides(model, Horizon())
    progress = isinstance(inner, LearnedOptimizer)
    expected = 0.5 * np.arange(12) / 12 if progress else cosine(12, rate=0.5)
    assert_near(found, expected)


def test_a_policy_that_reads_the_horizon_is_told_it_for_one_fit():
    model = one_weight(learned(Progress()))
    assert_near(strides(model, Horizon()), 0.5 * np.arange(12) / 12)
    assert_near(strides(model, Horizon(), epochs=1), 0.5 * np.arange(4) / 4)
    total = model.optimizer.policy_state.shared.total
    assert int(total) == 0
    model = one_weight(learned(Progress(), gradient_accumulation_steps=3))
    found = strides(model, Horizon())
    assert_near(found[2::3], 0.5 * np.arange(4) / 4)


@pytest.mark.parametrize(
    ("options", "arguments", "expected"),
    [
        ({}, {}, 4),
        ({"gradient_accumulation_steps": 3}, {}, 1),
        ({"epoch_steps": 7}, {}, 4),
        ({}, {"epoch_steps": 6}, 6),
        ({"epoch_steps": 7}, {"epoch_steps": 0}, 0),
    ],
)
def test_a_policy_is_told_when_examples_come_again(
    options, arguments, expected
):
    model = one_weight(learned(Progress(), **options))
    optimizer, told = model.optimizer, []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: told.append(optimizer.horizon)
    )
    strides(model, Horizon(**arguments), note, epochs=1)
    assert told[0].epoch_steps == expected
    assert optimizer.horizon.epoch_steps == options.get("epoch_steps", 0)


def test_a_policys_own_horizon_is_back_after_fit():
    model = one_weight(learned(Progress(), total_steps=6))
    assert_near(strides(model, Horizon(), epochs=1), 0.5 * np.arange(4) / 4)
    assert_near(strides(model, epochs=1), 0.5 * np.arange(4, 8) / 6)


class Stop(keras.callbacks.Callback):
    """Interrupts a training when an epoch begins."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def rnnprop():
    keras.utils.set_random_seed(3)
    return policies.RNNProp(units=(4,))


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.5),
    "accumulating": lambda: sgd(gradient_accumulation_steps=3),
    "learned": lambda: learned(rnnprop()),
    "progress": lambda: learned(Progress()),
    "multi": lambda: keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(learned(Progress()))
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_interrupted_fit_goes_on_as_if_it_had_not_been(name, tmp_path):
    whole, parts = (one_weight(OPTIMIZERS[name]()) for _ in range(2))
    parts.set_weights(whole.get_weights())
    strides(whole, Horizon(), epochs=4)

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    with pytest.raises(KeyboardInterrupt):
        strides(parts, Horizon(), backup(), Stop(2), epochs=4)
    # A new process has a new model.
    again = one_weight(OPTIMIZERS[name]())
    strides(again, Horizon(), backup(), epochs=4)
    np.testing.assert_array_equal(again.get_weights(), whole.get_weights())


@pytest.mark.parametrize("name", ["adam", "progress"])
def test_a_model_saved_amid_training_goes_on_in_a_later_epoch(name, tmp_path):
    whole = one_weight(OPTIMIZERS[name]())
    path = tmp_path / "model.{epoch}.keras"
    save = keras.callbacks.ModelCheckpoint(path)
    strides(whole, Horizon(), save, epochs=3)
    custom_objects = {"Sum": Sum, "Progress": Progress}
    parts = keras.models.load_model(tmp_path / "model.2.keras", custom_objects)
    strides(parts, Horizon(), epochs=3, initial_epoch=2)
    np.testing.assert_array_equal(parts.get_weights(), whole.get_weights())


@pytest.mark.parametrize("make", [sgd, lambda: learned(Progress())])
def test_after_an_interrupted_fit_the_next_is_plain(make):
    model = one_weight(make())
    with pytest.raises(KeyboardInterrupt):
        strides(model, Horizon(), Stop(1))
    found = strides(model, epochs=1)
    if isinstance(model.optimizer, LearnedOptimizer):
        assert_near(found, 0.5 * np.arange(4, 8))  # the total is unknown
    else:
        assert_near(found, np.full(4, 0.5))
    assert_near(
        strides(model, Horizon(), epochs=1),
        0.5 * np.arange(4) / 4
        if isinstance(model.optimizer, LearnedOptimizer)
        else cosine(4, rate=0.5),
    )


def test_an_end_before_the_last_epoch_does_no_harm():
    model = one_weight(sgd())
    stop = keras.callbacks.EarlyStopping("loss", mode="max", patience=1)
    found = strides(model, Horizon(), stop, epochs=9)
    assert_near(found, cosine(36, end=len(found), rate=0.5))
    assert len(found) < 36
    assert_near(strides(model, epochs=1), np.full(4, 0.5))


def batches():
    while True:
        yield X[:2], X[:2]


def fit_generator(model, *callbacks, **options):
    weights = Weights()
    model.fit(
        batches(),
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks, weights],
        **options,
    )
    return -np.diff(weights.values)


class Few(keras.callbacks.Callback):
    """Ends an epoch of a generator that does not end."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch == 3


def test_data_of_unknown_length_need_a_number():
    model = one_weight(sgd())
    with pytest.raises(ValueError, match="`total_steps` to `Horizon`"):
        fit_generator(model, Horizon(), Few())
    found = fit_generator(model, Horizon(), steps_per_epoch=2, epochs=2)
    assert_near(found, cosine(4, rate=0.5))
    # And on, in a later epoch, with all that was done before.
    found = fit_generator(model, Horizon(8), Few(), initial_epoch=1, epochs=2)
    assert_near(found, cosine(8, begin=4, rate=0.5))


def test_beyond_the_number_given_the_rate_is_zero():
    found = strides(one_weight(sgd()), Horizon(6))
    assert_near(found, [*cosine(6, rate=0.5), *np.zeros(6)])


def test_an_optimizer_with_a_schedule_of_its_own_is_refused():
    schedule = keras.optimizers.schedules.CosineDecay(0.5, 12)
    model = one_weight(sgd(schedule))
    with pytest.raises(ValueError, match="float `learning_rate`"):
        strides(model, Horizon())
    assert_near(strides(model), cosine(12, rate=0.5))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("total_steps", 0),
        ("total_steps", 1.5),
        ("epoch_steps", -1),
        ("warmup", 1.0),
        ("warmup", -1),
    ],
)
def test_a_number_out_of_range_is_named(name, value):
    with pytest.raises(ValueError, match=f"Argument `{name}` must be"):
        Horizon(**{name: value})
