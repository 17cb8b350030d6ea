import keras
import numpy as np
import pytest
from keras import ops

from tests.learned_optimizer.helpers import INPUTS
from tests.learned_optimizer.helpers import TARGETS
from tests.learned_optimizer.helpers import adam_pair
from tests.learned_optimizer.helpers import assert_alike
from tests.learned_optimizer.helpers import fit
from tests.learned_optimizer.helpers import momentum_pair
from tests.learned_optimizer.helpers import network
from tests.learned_optimizer.helpers import rnnprop
from tests.learned_optimizer.helpers import weights

pytestmark = pytest.mark.backend


@pytest.fixture
def dtype_policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    "dtype_policy", ["mixed_float16", "mixed_bfloat16"], indirect=True
)
def test_mixed_precision_trains_as_keras_does(dtype_policy):
    learned, reference = momentum_pair()
    assert_alike(fit(learned), fit(reference), tolerance=1e-2)


@pytest.mark.parametrize(
    "dtype_policy",
    ["mixed_float16", "mixed_bfloat16", "bfloat16"],
    indirect=True,
)
def test_state_is_float32_whatever_the_models_precision(dtype_policy):
    optimizer = rnnprop(warmup_steps=2)
    model = fit(optimizer)
    assert np.isfinite(weights(model)).all()
    kind = "bfloat16" if dtype_policy == "bfloat16" else "float32"
    assert {v.dtype for v in model.trainable_variables} == {kind}
    states = [v for v in optimizer.variables if "policy_" in v.path]
    assert {v.dtype for v in states} == {"float32", "int32"}
    floats = [v for v in states if v.dtype == "float32"]
    assert len(floats) == 1  # all that coordinates keep


@pytest.mark.parametrize("dtype_policy", ["mixed_float16"], indirect=True)
def test_mixed_float16_scales_the_loss(dtype_policy):
    model = fit(rnnprop())
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert int(model.optimizer.iterations) == 8


@pytest.mark.parametrize("pair", [adam_pair, momentum_pair])
def test_loss_scale_factor_cancels(pair):
    learned, _ = pair(loss_scale_factor=1024.0)
    _, reference = pair()
    assert_alike(fit(learned), fit(reference))


def test_loss_scale_optimizer_cancels():
    learned, reference = momentum_pair()
    wrapped = keras.optimizers.LossScaleOptimizer(learned, initial_scale=64.0)
    assert_alike(fit(wrapped), fit(reference))


def test_loss_scale_optimizer_skips_an_overflow_with_its_state():
    optimizer = rnnprop()
    scaled = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=3e38)
    model = network()
    huge = (1e3 * INPUTS[:8], 1e3 * TARGETS[:8])
    fit(scaled, model, *huge, epochs=1)
    np.testing.assert_array_equal(weights(model), weights(network()))
    for variable in optimizer.variables:
        if "policy_" in variable.path:
            assert not ops.convert_to_numpy(variable.value).any()
    np.testing.assert_allclose(float(scaled.dynamic_scale), 1.5e38, rtol=1e-6)
