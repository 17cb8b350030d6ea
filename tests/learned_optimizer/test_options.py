"""What every Keras optimizer offers, a learned optimizer offers too."""

import keras
import numpy as np
import pytest

from tests.learned_optimizer import helpers
from tests.learned_optimizer.helpers import adam_pair
from tests.learned_optimizer.helpers import assert_alike
from tests.learned_optimizer.helpers import fit
from tests.learned_optimizer.helpers import momentum_pair
from tests.learned_optimizer.helpers import rnnprop
from tests.learned_optimizer.helpers import weights

pytestmark = pytest.mark.backend

# Clipping shows with momentum; Adam's step forgets the gradient's scale.
OPTIONS = {
    "clipnorm": (momentum_pair, {"clipnorm": 0.05}),
    "clipvalue": (momentum_pair, {"clipvalue": 0.01}),
    "global_clipnorm": (momentum_pair, {"global_clipnorm": 0.05}),
    "weight_decay": (adam_pair, {"weight_decay": 0.1}),
    "ema": (adam_pair, {"use_ema": True, "ema_momentum": 0.9}),
    "ema_overwrite": (
        adam_pair,
        {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3},
    ),
    "accumulation": (adam_pair, {"gradient_accumulation_steps": 2}),
    "accumulation_clipped": (
        momentum_pair,
        {
            "gradient_accumulation_steps": 3,
            "global_clipnorm": 0.05,
            "weight_decay": 0.1,
        },
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_option_acts_as_on_a_keras_optimizer(name):
    pair, options = OPTIONS[name]
    learned, reference = pair(**options)
    trained = fit(learned)
    assert_alike(trained, fit(reference))
    # The option does something here, so that to ignore it would show.
    plain = fit(pair()[0])
    assert np.abs(weights(plain) - weights(trained)).max() > 1e-3


@pytest.mark.parametrize("name", OPTIONS)
def test_option_acts_with_a_recurrent_policy(name):
    trained = fit(rnnprop(**OPTIONS[name][1]))
    assert np.isfinite(weights(trained)).all()
    assert np.abs(weights(trained) - weights(helpers.network())).max() > 1e-4


def test_gradient_accumulation_makes_one_policy_step_of_several():
    optimizer = rnnprop(gradient_accumulation_steps=4)
    fit(optimizer)
    assert int(optimizer.iterations) == 2  # Keras counts the updates
    (step,) = (v for v in optimizer.variables if "policy_step" in v.path)
    assert int(step) == 2


@pytest.mark.parametrize(
    "schedule",
    [
        lambda: keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5),
        lambda: keras.optimizers.schedules.PiecewiseConstantDecay(
            [3], [0.1, 0.01]
        ),
        lambda: lambda: 0.02,
    ],
    ids=["exponential", "piecewise", "callable"],
)
@pytest.mark.quick
def test_learning_rate_multiplies_the_update(schedule):
    # Not momentum: in Keras the rate is inside its average.
    learned, reference = adam_pair(schedule())
    assert_alike(fit(learned), fit(reference))


def test_an_int_is_a_learning_rate():
    np.testing.assert_array_equal(
        weights(fit(rnnprop(learning_rate=1))),
        weights(fit(rnnprop(learning_rate=1.0))),
    )


def test_reduce_on_plateau_turns_the_learning_rate():
    trained = []
    for optimizer in adam_pair(0.05):
        plateau = keras.callbacks.ReduceLROnPlateau(
            monitor="loss", factor=0.1, patience=1, min_delta=1e3
        )
        trained.append(fit(optimizer, epochs=3, callbacks=[plateau]))
        np.testing.assert_allclose(
            float(optimizer.learning_rate), 0.0005, rtol=1e-5
        )
    assert_alike(*trained)


def test_learning_rate_zero_leaves_the_weights():
    trained = fit(rnnprop(learning_rate=0.0))
    np.testing.assert_array_equal(weights(trained), weights(helpers.network()))


def test_kernel_constraints_hold_after_the_update():
    model = helpers.network()
    model.layers[0].kernel.constraint = keras.constraints.NonNeg()
    fit(rnnprop(), model)
    assert model.layers[0].kernel.numpy().min() >= 0.0


@pytest.mark.parametrize(
    "jit_compile",
    [False] if keras.backend.backend() == "torch" else [False, True],
)
def test_jit_compile_gives_the_same_weights(jit_compile):
    learned, reference = adam_pair()
    assert_alike(
        fit(learned, jit_compile=jit_compile),
        fit(reference, jit_compile=False),
    )
    np.testing.assert_allclose(
        weights(fit(rnnprop(), jit_compile=jit_compile)),
        weights(fit(rnnprop(), run_eagerly=True)),
        1e-4,
        1e-5,
    )


if keras.backend.backend() != "torch":  # which makes one step at a time

    @pytest.mark.parametrize("make", [lambda: adam_pair()[0], rnnprop])
    def test_steps_per_execution_gives_the_same_weights(make):
        np.testing.assert_allclose(
            weights(fit(make(), steps_per_execution=2)),
            weights(fit(make())),
            1e-5,
            1e-6,
        )
