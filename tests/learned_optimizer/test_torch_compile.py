"""Steps that torch compiles, beside those that it runs as they come."""

import shutil

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import packing
from keras_l2o import policies
from tests.learned_optimizer.helpers import weights

# torch's compiler uses what torch calls deprecated.
pytestmark = [
    pytest.mark.backend,
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]

torch_alone = pytest.mark.skipif(
    keras.backend.backend() != "torch"
    or not any(map(shutil.which, ("g++", "clang++", "c++"))),
    reason="needs torch and a C++ compiler",
)


class Counted(policies.FeatureMLP):
    """Counts how often its step runs in Python."""

    runs = 0

    def tensor_warm_up(self, *arguments):
        type(self).runs += 1
        return super().tensor_warm_up(*arguments)


def drawn(policy):
    """The policy, with weights at which no term of it vanishes."""
    policy.build(None)
    random = np.random.default_rng(0)
    for weight in policy.trainable_variables:
        weight.assign(weight.numpy() + random.normal(0, 0.3, weight.shape))
    return policy


def trained(policy, **options):
    """A model after six steps, and what is left of its states."""
    optimizer = keras_l2o.LearnedOptimizer(policy, **options)
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(17, "tanh")]
    )
    model.add(keras.layers.Dense(1))
    model.compile(optimizer=optimizer, loss="mse")
    random = np.random.default_rng(0)
    x, y = random.normal(size=(24, 3)), random.normal(size=(24, 1))
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    return weights(model)


@torch_alone
@pytest.mark.parametrize("state_dtype", [None, "bfloat16"])
def test_chunks_share_a_program_that_does_what_the_plain_form_does(
    state_dtype, monkeypatch
):
    # 86 coordinates, 64 a chunk, as the rest of a model is cut.
    monkeypatch.setattr(packing, "FEW", 0)
    monkeypatch.setattr(packing, "CHUNK_FLOATS", 12 * 64)
    policy = drawn(Counted(units=(2,)))
    options = {"state_dtype": state_dtype, "learning_rate": 0.3}
    plain = trained(policy, **options)
    Counted.runs = 0
    compiled = trained(policy, torch_compile=True, **options)
    assert Counted.runs == 1
    tolerance = 1e-5 if state_dtype is None else 1e-3
    np.testing.assert_allclose(compiled, plain, rtol=1e-4, atol=tolerance)
    assert np.abs(plain - trained(policy, learning_rate=0.0)).max() > 0.01


@torch_alone
def test_a_policy_that_runs_over_whole_tensors_is_compiled_too():
    policy = policies.Cosine(policies.Momentum(0.05))
    plain = trained(policy, total_steps=8)
    compiled = trained(policy, total_steps=8, torch_compile=True)
    np.testing.assert_allclose(compiled, plain, rtol=1e-4, atol=1e-6)


@torch_alone
def test_variables_without_a_gradient_are_left_alone():
    policy = policies.Cosine(policies.Momentum(0.5))
    optimizer = keras_l2o.LearnedOptimizer(
        policy, total_steps=8, torch_compile=True
    )
    variables = [keras.Variable(np.ones(size, "float32")) for size in (2, 3)]
    optimizer.build(variables)
    first, second = variables
    optimizer.apply([keras.ops.ones_like(first)], [first])
    assert np.all(first.numpy() < 1.0)
    assert np.all(second.numpy() == 1.0)
    optimizer.apply([keras.ops.ones_like(second)], [second])
    assert np.all(second.numpy() < 1.0)


@torch_alone
def test_a_policy_that_reads_values_in_python_is_refused():
    class Reads(policies.CoordinatewisePolicy):
        def tensor_update(self, gradient, parameter, state, step):
            if keras.ops.sum(gradient) > 0:
                return gradient, state
            return -gradient, state

    with pytest.raises(ValueError, match=r"keras\.ops"):
        trained(Reads(), torch_compile=True)


def test_other_backends_do_what_they_did():
    if keras.backend.backend() == "torch":
        pytest.skip("torch compiles")
    policy = drawn(policies.FeatureMLP())
    np.testing.assert_array_equal(
        trained(policy), trained(policy, torch_compile=True)
    )


def test_warm_up_is_refused_and_the_option_is_kept():
    with pytest.raises(ValueError, match="warmup_steps=2"):
        keras_l2o.LearnedOptimizer(
            policies.Momentum(), warmup_steps=2, torch_compile=True
        )
    optimizer = keras_l2o.from_hub("general", torch_compile=True)
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.torch_compile


class CountedMomentum(policies.Momentum):
    """Counts how often its step runs in Python."""

    runs = 0

    def tensor_update(self, *arguments):
        type(self).runs += 1
        return super().tensor_update(*arguments)


@torch_alone
def test_values_of_variables_without_a_gradient_compile_nothing_anew():
    policy = policies.Cosine(CountedMomentum(0.5))
    optimizer = keras_l2o.LearnedOptimizer(
        policy, total_steps=8, torch_compile=True
    )
    variables = [keras.Variable(np.ones(2, "float32")) for _ in range(2)]
    optimizer.build(variables)
    gradient = keras.ops.ones((2,))
    runs = []
    for value in (1.0, 2.0, 3.0):
        variables[1].assign(np.full(2, value))
        optimizer.apply([gradient], variables[:1])
        runs.append(CountedMomentum.runs)
    assert runs == [runs[0]] * 3
