import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import LearnedOptimizer
from keras_l2o import policies

pytestmark = pytest.mark.backend

schedules = keras.optimizers.schedules
OPTIMIZERS = {
    "adadelta": lambda: keras.optimizers.Adadelta(0.5),
    "adafactor": lambda: keras.optimizers.Adafactor(0.05),
    "adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "adam": lambda: keras.optimizers.Adam(0.05, amsgrad=True),
    "adam_schedule": lambda: keras.optimizers.Adam(
        schedules.ExponentialDecay(0.1, 2, 0.5)
    ),
    "adamax": lambda: keras.optimizers.Adamax(0.05),
    "adamw": lambda: keras.optimizers.AdamW(0.05, weight_decay=0.1),
    "ftrl": lambda: keras.optimizers.Ftrl(0.1),
    "lamb": lambda: keras.optimizers.Lamb(0.05),
    "lion": lambda: keras.optimizers.Lion(0.01),
    "muon": lambda: keras.optimizers.Muon(0.05),
    "nadam": lambda: keras.optimizers.Nadam(0.05),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.05, momentum=0.5),
    "sgd_clipped": lambda: keras.optimizers.SGD(0.5, 0.9, clipnorm=0.1),
    "sgd_loss_scale": lambda: keras.optimizers.SGD(0.5, loss_scale_factor=64),
    "sgd_nesterov": lambda: keras.optimizers.SGD(0.5, 0.9, nesterov=True),
}


def model():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.Dense(2),
        ]
    )


def train(optimizer):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 5)).astype("float32")
    network = model()
    network.compile(optimizer=optimizer, loss="mse")
    network.fit(x, x[:, :2], batch_size=8, epochs=2, shuffle=False, verbose=0)
    return np.concatenate([w.ravel() for w in network.get_weights()])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_as_a_policy_it_trains_as_itself(name):
    expected = train(OPTIMIZERS[name]())
    wrapped = train(LearnedOptimizer(OPTIMIZERS[name]()))
    np.testing.assert_allclose(wrapped, expected, 1e-4, 1e-5)
    assert np.abs(wrapped - initial()).max() > 1e-4


def initial():
    return np.concatenate([w.ravel() for w in model().get_weights()])


def test_the_optimizer_handed_in_is_not_changed():
    optimizer = keras.optimizers.Adam(0.1)
    policy = policies.KerasOptimizer(optimizer)
    parameters = [ops.ones((3,))]
    state = policy.initial_state(parameters)
    for _ in range(3):
        _, state = policy.update(parameters, parameters, state)
    assert int(optimizer.iterations) == 0
    assert not optimizer.built


def test_around_a_loss_scale_there_is_no_policy():
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="inner_optimizer"):
        policies.as_policy(scaled)


def test_two_optimizees_of_different_shapes_do_not_mix():
    policy = policies.KerasOptimizer(keras.optimizers.Adam(0.1))
    small, large = [ops.ones((2,))], [ops.ones((3, 3)), ops.ones((1,))]
    first = policy.initial_state(small)
    second = policy.initial_state(large)
    _, second = policy.update(large, large, second)
    (update,), first = policy.update(small, small, first)
    np.testing.assert_allclose(
        ops.convert_to_numpy(update), [0.1, 0.1], rtol=1e-4
    )
