import keras
import pytest

import keras_l2o
from tests.conftest import tiny_model
from tests.training import helpers


@pytest.fixture(scope="package")
def bench(tiny_data):
    """One trainer for all tests that need none of their own."""
    keras.utils.set_random_seed(0)
    problem = keras_l2o.problems.Problem(tiny_model, tiny_data, batch_size=16)
    model = helpers.trainer(problem)
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    return helpers.Bench(model)
