"""A small model, and pairs of optimizers that must train it alike."""

import keras
import numpy as np

from keras_l2o import LearnedOptimizer
from keras_l2o import policies

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(32, 6)).astype("float32")
TARGETS = (INPUTS[:, :3] * INPUTS[:, 3:]).astype("float32")


def network():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(5, activation="tanh"),
            keras.layers.Dense(3),
        ]
    )


def adam_pair(learning_rate=0.05, **options):
    """Adam as a policy, and as Keras has it.

    Their epsilons stand inside and outside of the root: small enough not to
    show. The learning rate of both is Adam's, also where weights decay by it.
    """
    return (
        LearnedOptimizer(
            policies.Adam(1.0, epsilon=1e-24),
            learning_rate,
            weight_decay_rate=1.0,
            **options,
        ),
        keras.optimizers.Adam(learning_rate, epsilon=1e-12, **options),
    )


def momentum_pair(learning_rate=0.05, **options):
    """Heavy ball as a policy (a moving average), and as Keras has it."""
    return (
        LearnedOptimizer(
            policies.Momentum(10.0, 0.9),
            learning_rate,
            weight_decay_rate=1.0,
            **options,
        ),
        keras.optimizers.SGD(learning_rate, momentum=0.9, **options),
    )


def rnnprop(learning_rate=1.0, **options):
    """A learned optimizer that has not been trained."""
    keras.utils.set_random_seed(2)
    return LearnedOptimizer(
        policies.RNNProp(units=(4, 3)), learning_rate, **options
    )


def fit(optimizer, model=None, inputs=INPUTS, targets=TARGETS, **options):
    """Trains for eight steps and returns the model."""
    model = model or network()
    compile_options = {
        name: options.pop(name)
        for name in (
            "jit_compile",
            "loss",
            "run_eagerly",
            "steps_per_execution",
        )
        if name in options
    }
    model.compile(optimizer=optimizer, **{"loss": "mse", **compile_options})
    options = {"batch_size": 8, "epochs": 2, "shuffle": False, **options}
    model.fit(inputs, targets, verbose=0, **options)
    return model


def random_steps(model, numbers):
    """Applies a random gradient for each number, the same for the same."""
    for number in numbers:
        rng = np.random.default_rng(number)
        gradients = [
            rng.normal(size=tuple(v.shape)).astype("float32")
            for v in model.trainable_variables
        ]
        model.optimizer.apply(
            [keras.ops.convert_to_tensor(g) for g in gradients],
            model.trainable_variables,
        )


def weights(model):
    return np.concatenate(
        [np.ravel(w).astype("float32") for w in model.get_weights()]
    )


def assert_alike(learned, reference, tolerance=1e-4):
    """Same weights, which training has moved and left finite."""
    learned, reference = weights(learned), weights(reference)
    assert np.isfinite(learned).all()
    assert np.abs(learned - weights(network())).max() > 1e-3
    np.testing.assert_allclose(learned, reference, tolerance, tolerance)
