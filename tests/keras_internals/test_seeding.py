import random

import keras
import numpy as np
import pytest
from keras import ops
from keras.src.random import seed_generator

from keras_l2o import keras_internals

pytestmark = pytest.mark.backend


def draws():
    layer = keras.layers.Dense(3)
    layer.build((None, 2))
    numbers = keras.random.normal((3,))
    dropout = keras.layers.Dropout(0.5).seed_generator.state
    return [
        ops.convert_to_numpy(value)
        for value in (layer.kernel, numbers, dropout)
    ]


def test_seeded_draws_are_those_of_keras_after_the_same_seed():
    keras.utils.set_random_seed(5)
    expected = draws()
    keras.utils.set_random_seed(6)
    with keras_internals.seeded(5):
        found = draws()
    for value, other in zip(found, expected):
        np.testing.assert_array_equal(value, other)


def all_draws():
    return [random.random(), np.random.rand(), *draws()]  # noqa: NPY002


@pytest.mark.parametrize(
    "seeded", [keras_internals.seeded, keras_internals.globally_seeded]
)
def test_seeding_leaves_every_global_generator_as_it_was(seeded):
    keras.utils.set_random_seed(6)
    keras.random.normal((1,))
    expected = all_draws()
    keras.utils.set_random_seed(6)
    keras.random.normal((1,))
    with seeded(5):
        with seeded(7):
            draws()
        draws()
    for value, other in zip(all_draws(), expected):
        np.testing.assert_array_equal(value, other)


def test_a_global_seed_for_a_while_is_that_of_keras():
    keras.utils.set_random_seed(5)
    expected = all_draws()
    keras.utils.set_random_seed(6)
    with keras_internals.globally_seeded(5):
        found = all_draws()
    for value, other in zip(found, expected):
        np.testing.assert_array_equal(value, other)


def test_a_keras_that_draws_in_another_way_is_named(monkeypatch):
    monkeypatch.delattr(seed_generator, "python_random")
    with pytest.raises(ImportError, match=r"keras .* has no .*python_random"):
        with keras_internals.seeded(5):
            pass
    monkeypatch.setattr(seed_generator, "python_random", np, raising=False)
    with pytest.raises(ImportError, match="Python's `random`"):
        with keras_internals.seeded(5):
            pass
