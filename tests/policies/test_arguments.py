"""A number that is none fails where it is given, by its name."""

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import policies
from keras_l2o.policies import arguments

pytestmark = pytest.mark.quick

#: Numbers whose least or greatest is not what others' is.
WHOLE = ("seed", "timescales")


def fields():
    """Each policy's numbers, by the policy's name and the number's."""
    for name in policies.names():
        for key, value in policies.get(name).get_config().items():
            if isinstance(value, bool) or not isinstance(
                value, (int, float, list)
            ):
                continue
            if isinstance(value, list) and not isinstance(
                (value or [""])[0], int
            ):
                continue
            yield pytest.param(name, key, value, id=f"{name}-{key}")


@pytest.mark.parametrize(("name", "key", "value"), list(fields()))
def test_a_tampered_number_is_refused_by_name(name, key, value):
    policy = policies.get(name)
    bad = [float("nan"), float("inf"), True, "1"]
    if key in WHOLE:
        bad += [1e30, 0.5, -1]
    if isinstance(value, list):
        bad = [[entry] for entry in [*bad, 1e30, 0]] + [[]]
    for entry in bad:
        config = {**policy.get_config(), key: entry}
        # Keras makes a `TypeError` of what a layer's config raises.
        with pytest.raises((TypeError, ValueError), match=f"Argument `{key}`"):
            type(policy).from_config(config)


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("learning_rate", float("nan")),
        ("learning_rate", True),
        ("warmup_steps", 1e30),
        ("warmup_steps", 2**40),
        ("warmup_steps", True),
        ("warmup_rate", float("inf")),
        ("warmup_rate", -1.0),
        ("weight_decay_rate", True),
        ("skip_nonfinite", 1),
        ("state_dtype", "float8"),
        ("source", 3),
    ],
)
def test_a_tampered_optimizer_is_refused_by_name(key, bad):
    optimizer = keras_l2o.LearnedOptimizer(policies.SGD())
    config = {**optimizer.get_config(), key: bad}
    with pytest.raises(ValueError, match=f"Argument `{key}`"):
        keras_l2o.LearnedOptimizer.from_config(config)


def test_numpys_numbers_are_numbers():
    policy = policies.FeatureMLP(np.float32(0.5), units=(np.int64(3),))
    assert (policy.learning_rate, policy.units) == (0.5, (3,))
    assert arguments.check_count("n", np.int32(3)) == 3


def test_a_scalar_weight_stays_a_scalar_in_a_config():
    policy = policies.Adam(0.01, trainable_hyperparameters=["learning_rate"])
    optimizer = keras_l2o.LearnedOptimizer(policy)
    twin = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert [w.shape for w in twin.policy.get_weights()] == [()]
