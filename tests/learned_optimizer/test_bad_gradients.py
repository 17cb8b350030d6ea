"""A gradient that is not finite costs one step, and no more."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import LearnedOptimizer
from keras_l2o import policies
from keras_l2o.policies.policy import LAST_STEP
from tests.learned_optimizer.helpers import INPUTS
from tests.learned_optimizer.helpers import TARGETS
from tests.learned_optimizer.helpers import fit
from tests.learned_optimizer.helpers import network
from tests.learned_optimizer.helpers import rnnprop
from tests.learned_optimizer.helpers import weights

pytestmark = pytest.mark.backend

BAD = {"nan": np.nan, "infinite": -np.inf, "huge": 1e30}

POLICIES = {
    "rnnprop": lambda: policies.RNNProp(units=(3,)),
    "feature_mlp": lambda: policies.FeatureMLP(units=(4,)),
    "choice": lambda: policies.Choice(
        [policies.Adam(0.01), policies.SGD(0.1)], units=(3,)
    ),
    "keras": lambda: policies.KerasOptimizer(keras.optimizers.Adam(0.01)),
}


def apply(optimizer, variables, bad=None):
    rng = np.random.default_rng(int(optimizer.iterations))
    gradients = [
        rng.normal(size=tuple(v.shape)).astype("float32") for v in variables
    ]
    if bad is not None:
        gradients[0].flat[1] = bad
    optimizer.apply([ops.convert_to_tensor(g) for g in gradients], variables)


def values(optimizer, variables):
    """Weights and state, but for the counts of steps and of skipped ones."""
    counts = {id(optimizer.iterations), id(optimizer.skipped_steps)}
    kept = [v for v in optimizer.variables if id(v) not in counts]
    return [ops.convert_to_numpy(v).copy() for v in (*variables, *kept)]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", POLICIES)
def test_weights_and_state_are_as_before_a_bad_gradient(name, bad):
    keras.utils.set_random_seed(0)
    variables = [keras.Variable(np.ones((3, 2), "float32")) for _ in range(2)]
    optimizer = LearnedOptimizer(POLICIES[name](), weight_decay=0.1)
    for _ in range(2):
        apply(optimizer, variables)
    before = values(optimizer, variables)
    apply(optimizer, variables, BAD[bad])
    for left, right in zip(before, values(optimizer, variables)):
        np.testing.assert_array_equal(left, right)
    assert int(ops.convert_to_numpy(optimizer.skipped_steps)) == 1
    apply(optimizer, variables)
    assert not np.array_equal(before[0], values(optimizer, variables)[0])


def spoiled(bad, at):
    """The inputs with one example that makes its batch's gradient bad."""
    inputs = INPUTS.copy()
    inputs[at] = bad
    return inputs


@pytest.mark.parametrize("jit_compile", [False, "auto"])
@pytest.mark.parametrize("accumulated", [None, 2])
def test_a_fit_goes_on_and_a_callback_reads_the_count(jit_compile, accumulated):
    seen = []
    read = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(
            int(ops.convert_to_numpy(optimizer.skipped_steps))
        )
    )
    several = accumulated and keras.backend.backend() != "torch"
    optimizer = rnnprop(
        weight_decay=0.01, gradient_accumulation_steps=accumulated
    )
    model = fit(
        optimizer,
        inputs=spoiled(np.nan, 9),
        jit_compile=jit_compile,
        steps_per_execution=2 if several else 1,
        callbacks=[read],
    )
    assert seen == [1, 2]
    assert np.isfinite(weights(model)).all()
    assert np.abs(weights(model) - weights(network())).max() > 1e-4


def test_without_the_check_a_bad_gradient_is_what_it_was():
    model = fit(rnnprop(skip_nonfinite=False), inputs=spoiled(np.nan, 9))
    assert np.isnan(weights(model)).all()


def test_a_skipped_step_is_as_if_its_batch_had_not_been_there():
    whole = fit(rnnprop(), inputs=spoiled(np.nan, 8), epochs=1)
    there = np.delete(np.arange(len(INPUTS)), np.arange(8, 16))
    without = fit(
        rnnprop(), inputs=INPUTS[there], targets=TARGETS[there], epochs=1
    )
    np.testing.assert_array_equal(weights(whole), weights(without))


@pytest.mark.parametrize(
    "policy",
    [
        policies.Adam(0.01),
        policies.RMSprop(0.01),
        policies.RNNProp(units=(3,)),
        policies.FeatureMLP(units=(4,)),
        policies.Scale(units=(3,)),
        policies.RectifiedAdam(0.01),
    ],
    ids=lambda policy: policy.name,
)
def test_moments_survive_a_gradient_whose_square_overflows(policy):
    if not policy.built:
        policy.build(None)
    parameter = ops.zeros((2,))
    state = policy.initial_state([parameter])
    for gradient in ([1.0, 1.0], [1e30, -1e30], [1.0, 1.0]):
        (update,), state = policy.update(
            [ops.convert_to_tensor(gradient, "float32")], [parameter], state
        )
        assert np.isfinite(ops.convert_to_numpy(update)).all()
    for leaf in keras.tree.flatten(state):
        assert np.isfinite(ops.convert_to_numpy(leaf)).all()


@pytest.mark.parametrize("name", POLICIES)
def test_the_count_of_steps_does_not_wrap_around(name):
    policy = POLICIES[name]()
    policy.build(None)
    parameter = ops.ones((2,))
    state = policy.initial_state([parameter])
    state = state._replace(step=ops.convert_to_tensor(LAST_STEP, "int32"))
    updates, state = policy.update([ops.ones((2,))], [parameter], state)
    assert int(state.step) == LAST_STEP
    assert np.isfinite(ops.convert_to_numpy(updates[0])).all()
    assert int(policy.warm_up([ops.ones((2,))], [parameter], state).step) == (
        LAST_STEP
    )


def test_an_optimizer_at_its_last_step_does_not_warm_up_again():
    variable = keras.Variable(np.ones(3, "float32"))
    optimizer = LearnedOptimizer(
        policies.SGD(0.0), warmup_steps=2, warmup_rate=1.0
    )
    optimizer.build([variable])
    (step,) = (v for v in optimizer.variables if "policy_step" in v.path)
    step.assign(LAST_STEP)
    for _ in range(2):
        optimizer.apply([ops.ones((3,))], [variable])
    np.testing.assert_array_equal(ops.convert_to_numpy(variable), np.ones(3))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_narrow_policy_counts_as_a_wide_one(dtype):
    seen = []

    class Watch(policies.SGD):
        def tensor_update(self, gradient, parameter, state, step):
            seen.append(float(step))
            return super().tensor_update(gradient, parameter, state, step)

    policy = Watch(dtype=dtype)
    policy.build(None)
    state = policy.initial_state([ops.ones((2,))])
    state = state._replace(step=ops.convert_to_tensor(100_000, "int32"))
    policy.update([ops.ones((2,))], [ops.ones((2,))], state)
    assert seen == [100_001.0]
