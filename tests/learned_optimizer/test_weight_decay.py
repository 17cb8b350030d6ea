"""What a user knows of AdamW's weight decay holds at default rates."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import LearnedOptimizer
from keras_l2o import from_hub
from keras_l2o import policies

pytestmark = pytest.mark.backend

STEPS = 100


def decayed(optimizer, gradient=0.0, names=("kernel",), steps=STEPS):
    """What is left of ones."""
    variables = [
        keras.Variable(np.ones(2, "float32"), name=name) for name in names
    ]
    optimizer.build(variables)
    for _ in range(steps):
        gradients = [ops.full((2,), gradient) for _ in variables]
        optimizer.apply(gradients, variables)
    return [ops.convert_to_numpy(v) for v in variables]


@pytest.mark.parametrize("weight_decay", [0.004, 0.1])
def test_a_weight_decays_as_with_adamw_at_default_rates(weight_decay):
    learned = LearnedOptimizer(policies.SGD(1.0), weight_decay=weight_decay)
    reference = keras.optimizers.AdamW(weight_decay=weight_decay)
    (ours,), (theirs,) = decayed(learned), decayed(reference)
    np.testing.assert_allclose(ours, theirs, 1e-5)
    assert np.all(ours < 1.0)
    np.testing.assert_allclose(1 - ours, STEPS * 1e-3 * weight_decay, 1e-2)


def test_the_decay_of_a_replicate_is_apart_from_its_update():
    # What it does without a gradient is its own; the decay comes on top.
    (plain,) = decayed(from_hub("min-max-compact/3"), steps=20)
    (both,) = decayed(from_hub("min-max-compact/3", weight_decay=0.1), steps=20)
    np.testing.assert_allclose(both - plain, -20 * 1e-4 * plain, 0.1)


def test_a_schedule_scales_the_decay_as_in_adamw():
    def schedule(rate):
        return keras.optimizers.schedules.CosineDecay(rate, STEPS)

    learned = LearnedOptimizer(
        policies.SGD(1.0), schedule(1.0), weight_decay=0.1
    )
    reference = keras.optimizers.AdamW(schedule(1e-3), weight_decay=0.1)
    np.testing.assert_allclose(decayed(learned), decayed(reference), 1e-5)


def test_with_a_rate_as_adams_the_decay_is_adamws_too():
    learned = LearnedOptimizer(
        policies.Adam(1.0, epsilon=1e-24),
        0.01,
        weight_decay=0.1,
        weight_decay_rate=1.0,
    )
    reference = keras.optimizers.AdamW(0.01, weight_decay=0.1, epsilon=1e-12)
    np.testing.assert_allclose(
        decayed(learned, gradient=0.5), decayed(reference, gradient=0.5), 1e-4
    )


def test_variables_can_be_excluded():
    learned = LearnedOptimizer(policies.SGD(1.0), weight_decay=0.1)
    learned.exclude_from_weight_decay(var_names=["bias"])
    kernel, bias = decayed(learned, names=("kernel", "bias"))
    np.testing.assert_array_equal(bias, np.ones(2))
    assert np.all(kernel < 1.0)
