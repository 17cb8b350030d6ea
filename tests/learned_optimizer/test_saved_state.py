"""Saved, loaded, gone on with: the same as if nothing had happened."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

import keras_l2o
from keras_l2o import policies
from tests.learned_optimizer.helpers import random_steps

pytestmark = [
    pytest.mark.backend,
    pytest.mark.usefixtures("uncompiled"),
]

POOL = [policies.Adam(0.01, name="one"), policies.SGD(0.1, name="two")]

#: Every registered policy, and forms that keep other things.
POLICIES = {
    **{
        name: lambda name=name: policies.get(name)
        for name in policies.names()
        if name not in ("more_choice", "random_choice")
    },
    "random_choice": lambda: policies.RandomChoice(POOL),
    "hard choice": lambda: policies.Choice(POOL, units=(2,), hardness=5.0),
    "trainable rate": lambda: policies.Adam(
        0.01, trainable_hyperparameters=["learning_rate"]
    ),
    "trainable numbers": lambda: policies.RectifiedAdam(
        0.01, trainable_hyperparameters=True
    ),
    "keras": lambda: policies.KerasOptimizer(keras.optimizers.Nadam(0.01)),
    "keras of matrices": lambda: policies.KerasOptimizer(
        keras.optimizers.Adafactor(0.01)
    ),
}

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "learning_rate": st.sampled_from([1.0, 0.3]),
        "warmup_steps": st.sampled_from([1, 3]),
        "state_dtype": st.sampled_from(["float32", "bfloat16"]),
        "skip_nonfinite": st.booleans(),
        "weight_decay": st.sampled_from([0.01, 0.1]),
        "weight_decay_rate": st.sampled_from([1e-3, 1.0]),
        "use_ema": st.booleans(),
        "gradient_accumulation_steps": st.sampled_from([2, 3]),
        "global_clipnorm": st.just(0.5),
    },
)


def values(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [
        np.array(ops.convert_to_numpy(ops.cast(v, "float32")))
        for v in variables
    ]


def check(name, options, folder):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    optimizer = keras_l2o.LearnedOptimizer(POLICIES[name](), **options)
    model.compile(optimizer, "mse")
    model.optimizer.build(model.trainable_variables)
    random_steps(model, [0, 1])
    model.save(folder / "model.keras")
    random_steps(model, [2, 3])
    loaded = keras.models.load_model(folder / "model.keras")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    random_steps(loaded, [2, 3])
    for left, right in zip(values(model), values(loaded), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("name", POLICIES)
def test_it_goes_on_as_if_it_had_not_been_saved(name, tmp_path):
    check(name, {"weight_decay": 0.01}, tmp_path)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(
    name=st.sampled_from(["adam", "feature_mlp", "scale_basic", "hard choice"]),
    options=OPTIONS,
)
def test_it_goes_on_whatever_its_options(tmp_path_factory, name, options):
    check(name, options, tmp_path_factory.mktemp("saved"))
