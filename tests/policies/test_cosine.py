"""Any rule whose rate follows a cosine along the horizon."""

import keras
import numpy as np
import pytest

from keras_l2o import policies
from tests.policies.test_general import SHAPES
from tests.policies.test_general import drawn
from tests.policies.test_general import horizon
from tests.policies.test_general import run

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("warmup", [0.0, 0.3])
def test_cosine_multiplies_a_rule_along_the_horizon(warmup):
    parameters, gradients = drawn()
    rule = policies.Cosine(policies.Momentum(0.1), warmup)
    plain = run(policies.Momentum(0.1), parameters, gradients)
    unknown = run(rule, parameters, gradients)
    told = run(rule, parameters, gradients, horizon(0, 10))
    for step in range(len(gradients)):
        past = step / 10
        if past < warmup:
            factor = (step + 1) / 3
        else:
            share = (past - warmup) / (1.0 - warmup)
            factor = 0.5 * (1.0 + np.cos(np.pi * share))
        for index in range(len(SHAPES)):
            a = plain[step][index]
            np.testing.assert_allclose(unknown[step][index], a)
            np.testing.assert_allclose(told[step][index], factor * a, rtol=1e-5)


def test_cosine_runs_a_keras_optimizer_and_comes_back_from_its_config():
    parameters, gradients = drawn()
    rule = policies.Cosine(keras.optimizers.AdamW(0.1), warmup=0.1)
    twin = policies.Cosine.from_config(rule.get_config())
    told = horizon(0, 10)
    for one, other in zip(
        run(rule, parameters, gradients[:3], told),
        run(twin, parameters, gradients[:3], told),
    ):
        for a, b in zip(one, other):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="`warmup` must be below 1"):
        policies.Cosine("adam", warmup=1.0)
