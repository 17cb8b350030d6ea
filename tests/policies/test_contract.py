"""One contract for every policy, run on every backend."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import backend
from keras_l2o import policies

pytestmark = pytest.mark.backend

SHAPES = [(3, 4), (5,), (2, 3, 2)]

POLICIES = {
    "sgd": lambda: policies.SGD(0.1),
    "momentum": lambda: policies.Momentum(0.1),
    "rmsprop": lambda: policies.RMSprop(0.1),
    "adam": lambda: policies.Adam(0.1),
    "adam_constant": lambda: policies.Adam(0.1, bias_correction="constant"),
    "powersign": lambda: policies.PowerSign(0.1),
    "addsign": lambda: policies.AddSign(0.1),
    "adaptive_powersign": lambda: policies.AdaptivePowerSign(0.1),
    "adaptive_addsign": lambda: policies.AdaptiveAddSign(0.1),
    "radam": lambda: policies.RectifiedAdam(0.1, beta_2=0.9),
    "adam_trainable": lambda: policies.Adam(
        0.1, trainable_hyperparameters=True
    ),
    "lstm": lambda: policies.LSTM(units=(4, 3)),
    "rnnprop": lambda: policies.RNNProp(units=(4, 3)),
    "rnnprop_options": lambda: policies.RNNProp(
        units=(4,),
        bias_correction=None,
        cell_options={
            "unit_forget_bias": False,
            "activation": "linear",
            "recurrent_activation": "hard_sigmoid",
        },
    ),
    "rnnprop_not_odd": lambda: policies.RNNProp(
        units=(4,), cell_options={"activation": "sigmoid"}, odd=False
    ),
    "rnnprop_extended": lambda: policies.RNNPropExtended(units=(4, 3)),
    "adamlr": lambda: policies.AdamLR(units=(4, 3)),
    "rmsproplr": lambda: policies.RMSPropLR(units=(4,)),
    "choice": lambda: policies.Choice(
        [policies.Adam(0.1), policies.LSTM(units=(2,))], units=(4, 3)
    ),
    "choice_hard": lambda: policies.Choice(
        [policies.Adam(0.1), keras.optimizers.Adam(0.1), policies.SGD(1.0)],
        units=(4,),
        hardness=10.0,
        rate_scale=1.0,
    ),
    "choice_of_choices": lambda: policies.Choice(
        [
            policies.Choice(
                [policies.SGD(1.0), keras.optimizers.SGD(0.1, momentum=0.9)],
                units=(3,),
            ),
            policies.RandomChoice([policies.RMSprop(), policies.SGD()]),
        ],
        units=(3,),
    ),
    "random_choice": lambda: policies.RandomChoice(
        [policies.Momentum(1.0), policies.Adam(0.1)]
    ),
    "feature_mlp": lambda: policies.FeatureMLP(units=(4, 3)),
    "feature_mlp_not_odd": lambda: policies.FeatureMLP(units=(4,), odd=False),
    "general": lambda: policies.General(0.1, units=(4,), rate_units=(3,)),
    "general_orthogonal": lambda: policies.General(
        0.1, units=(4,), rate_units=(3,), orthogonal=True
    ),
    "cosine": lambda: policies.Cosine(policies.Momentum(0.1), warmup=0.2),
    "scale_hierarchical": lambda: policies.Scale(units=(4, 3, 2)),
    "scale_two_levels": lambda: policies.Scale(units=(3, 2), timescales=2),
    "scale_basic": lambda: policies.Scale(units=(4,)),
    "scale_not_odd": lambda: policies.Scale(units=(4,), odd=False),
    "keras_adam": lambda: policies.KerasOptimizer(keras.optimizers.Adam(0.1)),
    "keras_nadam": lambda: policies.KerasOptimizer(keras.optimizers.Nadam(0.1)),
    "keras_lion": lambda: policies.KerasOptimizer(keras.optimizers.Lion(0.1)),
    "keras_adafactor": lambda: policies.KerasOptimizer(
        keras.optimizers.Adafactor(0.1)
    ),
    "keras_clipped": lambda: policies.KerasOptimizer(
        keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.5)
    ),
}

#: Policies that are not odd, and why.
NOT_ODD = {
    "rnnprop_not_odd": "Its network has biases, as in the paper.",
    "feature_mlp_not_odd": "Its network has biases.",
    "scale_not_odd": "Its networks have biases, as in the paper.",
}
#: Policies that are odd for the same draws, which come from the parameters.
DRAWN = {"choice_of_choices", "random_choice"}


@pytest.fixture(params=POLICIES)
def policy(request):
    return built(request.param)


def built(name):
    policy = POLICIES[name]()
    if not policy.built:
        policy.build(None)
    return policy


def drawn(name):
    """A policy with weights that are not those of the start."""
    policy = built(name)
    rng = np.random.default_rng(5)
    for weight in policy.trainable_variables:
        noise = 0.3 * rng.normal(size=weight.shape)
        weight.assign(weight + noise.astype("float32"))
    return policy


def tensors(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return [
        ops.convert_to_tensor(scale * rng.normal(size=s).astype("float32"))
        for s in SHAPES
    ]


def run(policy, steps, state=None, first=0):
    """Updates of some steps, and the state after them."""
    parameters = tensors(99)
    state = policy.initial_state(parameters) if state is None else state
    updates = []
    for step in range(first, first + steps):
        update, state = policy.update(tensors(step), parameters, state)
        updates.append([numpy(u) for u in update])
    return updates, state


def numpy(tensor):
    return ops.convert_to_numpy(ops.stop_gradient(tensor))


def assert_close(a, b, tolerance=1e-5):
    for left, right in zip(keras.tree.flatten(a), keras.tree.flatten(b)):
        left, right = (
            numpy(x) if ops.is_tensor(x) else x for x in (left, right)
        )
        np.testing.assert_allclose(left, right, tolerance, tolerance)


@pytest.mark.quick
def test_config_round_trip_keeps_the_rule(policy):
    config = keras.saving.serialize_keras_object(policy)
    assert config["registered_name"].startswith("keras_l2o>")
    twin = keras.saving.deserialize_keras_object(config)
    if not twin.built:
        twin.build(None)
    twin.set_weights(policy.get_weights())
    assert twin.get_config() == policy.get_config()
    assert_close(run(twin, 3)[0], run(policy, 3)[0], 0)


def test_copy_has_the_weights_and_is_independent(policy):
    twin = policy.copy()
    before = policy.get_weights()
    for old, new in zip(before, twin.get_weights()):
        np.testing.assert_array_equal(old, new)
    twin.set_weights([np.ones_like(weight) for weight in before])
    for old, new in zip(before, policy.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_update_keeps_structure_shapes_and_types(policy):
    parameters = tensors(99)
    state = policy.initial_state(parameters)
    updates, new = policy.update(tensors(0), parameters, state)
    keras.tree.assert_same_structure(state, new)
    assert [tuple(u.shape) for u in updates] == SHAPES
    for old, leaf in zip(keras.tree.flatten(state), keras.tree.flatten(new)):
        assert tuple(old.shape) == tuple(leaf.shape)
        kind = keras.backend.standardize_dtype
        assert kind(old.dtype) == kind(leaf.dtype)


@pytest.mark.quick
def test_resumed_equals_uninterrupted(policy):
    expected, _ = run(policy, 4)
    _, state = run(policy, 2)
    stored = keras.tree.map_structure(numpy, state)
    loaded = keras.tree.map_structure(ops.convert_to_tensor, stored)
    assert_close(run(policy, 2, loaded, first=2)[0], expected[2:], 0)


def test_compiled_equals_eager(policy):
    eager, _ = run(policy, 3)
    parameters = tensors(99)

    def body(state, gradients):
        updates, state = policy.update(gradients, parameters, state)
        return state, updates

    inputs = [ops.stack(leaves) for leaves in zip(*map(tensors, range(3)))]
    run_all = compiled(
        lambda state, inputs: backend.scan(body, state, inputs, 3)
    )
    _, updates = run_all(policy.initial_state(parameters), inputs)
    assert_close(
        [numpy(u) for u in updates], [np.stack(u) for u in zip(*eager)]
    )


def compiled(function):
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        return tensorflow.function(function)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function  # torch runs the inner loop eagerly


def test_outer_gradient_is_finite_at_zero_gradient(policy):
    zeros = [ops.zeros(shape) for shape in SHAPES]
    parameters = tensors(99)
    state = policy.initial_state(parameters)

    def total(variables):
        weights, gradients = variables[: len(values)], variables[len(values) :]
        mapping = list(zip(policy.trainable_variables, weights))
        with keras.StatelessScope(state_mapping=mapping):
            updates, new = policy.update(gradients, parameters, state)
            updates, _ = policy.update(gradients, parameters, new)
        return sum(ops.sum(update) for update in updates), ()

    values = [backend.read(v) for v in policy.trainable_variables]
    if not isinstance(policy, policies.KerasOptimizer):
        _, gradients = backend.value_and_grad(total)(values + zeros)
        for gradient in gradients:
            assert np.isfinite(numpy(gradient)).all()
    updates, new = policy.update(zeros, parameters, state)
    for leaf in keras.tree.flatten((updates, new)):
        assert np.isfinite(numpy(leaf)).all()


def test_a_parameter_without_gradient_is_left_alone(policy):
    parameters = tensors(99)
    gradients = tensors(0)
    gradients[1] = None
    state = policy.initial_state(parameters)
    updates, new = policy.update(gradients, parameters, state)
    assert updates[1] is None
    assert updates[0] is not None
    assert_close(new.tensors[1], state.tensors[1], 0)


def test_coordinates_do_not_see_each_other_if_coordinatewise(policy):
    parameters = tensors(99)

    def flat(nest):
        return [ops.concatenate([ops.reshape(t, (-1,)) for t in nest])]

    separate, _ = run(policy, 3)
    state = policy.initial_state(flat(parameters))
    joined = []
    for step in range(3):
        (update,), state = policy.update(
            flat(tensors(step)), flat(parameters), state
        )
        joined.append(numpy(update))
    same = np.allclose(
        np.stack(joined),
        [np.concatenate([u.ravel() for u in step]) for step in separate],
        1e-5,
        1e-6,
    )
    # The other way round only for a rule that mixes coordinates in fact.
    assert same or not policy.coordinatewise


@pytest.mark.parametrize("name", sorted(POLICIES.keys() - NOT_ODD.keys()))
def test_an_odd_rule_flips_its_sign_with_gradients_and_parameters(name):
    policy = drawn(name)

    def path(sign):
        parameters = tensors(99, 1.0 if name in DRAWN else sign)
        state, result = policy.initial_state(parameters), []
        for step in range(3):
            updates, state = policy.update(
                tensors(step, sign), parameters, state
            )
            result += [numpy(update) for update in updates]
        return result

    for update, flipped in zip(path(1.0), path(-1.0)):
        # A Keras optimizer's update is the rounded difference of parameters.
        tolerance = 1e-6 if name in DRAWN else 0.0
        np.testing.assert_allclose(update, -flipped, tolerance, tolerance)
        assert np.abs(update).max() > 0.0


@pytest.mark.parametrize("name", sorted(POLICIES.keys() - NOT_ODD.keys()))
def test_an_odd_rule_leaves_coordinates_without_gradient_where_they_are(name):
    policy = drawn(name)
    parameters = tensors(99)
    state = policy.initial_state(parameters)
    for step in range(3):
        first, *others = (numpy(gradient) for gradient in tensors(step))
        # In the first tensor some coordinates, of the others all.
        first[:, 1] = 0.0
        gradients = [first, *(np.zeros_like(g) for g in others)]
        updates, state = policy.update(
            [ops.convert_to_tensor(g) for g in gradients], parameters, state
        )
        still, *zeros = (numpy(update) for update in updates)
        assert np.abs(still).max() > 0.0
        for rest in [still[:, 1], *zeros]:
            np.testing.assert_array_equal(rest, 0.0)


@pytest.mark.parametrize("name", NOT_ODD)
def test_what_is_said_not_to_be_odd_moves_without_a_gradient(name):
    policy = drawn(name)
    parameters = tensors(99)
    zeros = [ops.zeros(shape) for shape in SHAPES]
    state, moved = policy.initial_state(parameters), 0.0
    for _ in range(2):
        updates, state = policy.update(zeros, parameters, state)
        moved += sum(np.abs(numpy(u)).max() for u in updates)
    assert moved > 0.0


def test_warm_up_moves_moments_as_an_update_does(policy):
    parameters = tensors(99)
    state = policy.initial_state(parameters)
    warm = policy.warm_up(tensors(0), parameters, state)
    _, updated = policy.update(tensors(0), parameters, state)
    keras.tree.assert_same_structure(state, warm)
    assert int(warm.step) == 1
    assert_warmed(warm, state, updated)


def test_warm_up_moves_recurrent_state_if_it_is_asked_to():
    policy = policies.RNNProp(units=(3,), warm_up_recurrent=True)
    policy.build(None)
    parameters = tensors(99)
    state = policy.initial_state(parameters)
    warm = policy.warm_up(tensors(0), parameters, state)
    assert_close(warm, policy.update(tensors(0), parameters, state)[1], 0)


#: What belongs to the networks and not to the gradient's moments.
WAITING = {"log_rate", "recurrent", "tensor", "weights"}


def assert_warmed(warm, old, new):
    if hasattr(warm, "_fields"):
        for name, *leaves in zip(warm._fields, warm, old, new):
            if name in WAITING:
                leaves[2] = leaves[1]
            assert_warmed(*leaves)
    elif isinstance(warm, (list, tuple)):
        for leaves in zip(warm, old, new):
            assert_warmed(*leaves)
    else:
        assert_close(warm, new, 1e-6)


if keras.backend.backend() != "jax":  # which has float64 only when enabled

    def test_float64_policies_compute_in_float64():
        policy = policies.RNNProp(units=(3,), dtype="float64")
        policy.build(None)
        parameters = [ops.ones((2,), "float64")]
        updates, _ = policy.update(
            parameters, parameters, policy.initial_state(parameters)
        )
        assert keras.backend.standardize_dtype(updates[0].dtype) == "float64"
