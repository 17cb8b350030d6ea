"""Parts of a graph that are programs of their own, beside the plain form."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("of TensorFlow's own", allow_module_level=True)

import tensorflow as tf

from keras_l2o import backend
from keras_l2o import policies
from keras_l2o.training import inner_loop

pytestmark = pytest.mark.backend

POLICIES = [policies.RNNProp(units=(3, 2)), policies.LSTM(units=(2,))]


def of_two_steps(policy, rematerialize):
    """The state after two steps, and the gradients of what they did."""
    if not policy.built:
        policy.build(None)
    values = [
        tf.convert_to_tensor(value) + 0.05
        for value in inner_loop.policy_variables(policy)
    ]
    first = policy.initial_state([tf.zeros(7)])

    def run(values, gradients):
        step_of = inner_loop.steps_of(policy, None, training=True)

        def step(carry, gradient):
            parameters, state = carry
            gradient = gradient + parameters
            update, state = step_of(values, gradient, parameters, state)
            parameters = parameters - update
            return (parameters, state), tf.reduce_sum(tf.square(parameters))

        with tf.GradientTape() as tape:
            tape.watch([values, gradients])
            (_, state), losses = backend.scan(
                step, (gradients[0], first), gradients, 2, rematerialize
            )
            loss = tf.reduce_sum(losses)
        return loss, state, tape.gradient(loss, [*values, gradients])

    gradients = tf.constant(np.linspace(-2, 3, 14).reshape(2, 7), "float32")
    return tf.function(run, autograph=False)(values, gradients)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)
@pytest.mark.parametrize("rematerialize", [False, True])
def test_values_and_gradients_are_those_of_the_plain_form(
    policy, rematerialize, monkeypatch
):
    made = of_two_steps(policy, rematerialize)
    monkeypatch.setattr(policy, "own_program", False)
    plain = of_two_steps(policy, rematerialize)
    made, plain = keras.tree.flatten(made), keras.tree.flatten(plain)
    assert len(made) == len(plain)
    for one, other in zip(made, plain):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert all(np.any(gradient) for gradient in plain[-4:])


def test_a_shape_is_compiled_once_whatever_graph_calls_it():
    traced = []

    def twice(x, count):
        traced.append(x.shape)
        return {"value": 2.0 * x, "count": count + 1}

    program = backend.own_program(twice)

    @tf.function
    def outer(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            _, values = backend.scan(
                lambda x, _: (program(x, tf.constant(3))["value"],) * 2,
                x, tf.zeros(2), 2, True,
            )  # fmt: skip
            loss = tf.reduce_sum(values)
        return tape.gradient(loss, x), program(x, tf.constant(3))["count"]

    gradient, count = outer(tf.ones(4))
    np.testing.assert_allclose(gradient, 6.0)
    assert int(count) == 4
    # Once for the values and once for the gradient, for all three calls.
    assert traced == [(4,)] * 2


def test_what_it_does_not_read_has_no_gradient():
    @tf.function
    def gradients(x, y):
        program = backend.own_program(lambda x, y: 3.0 * x)
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            value = program(x, y)
        found = tape.gradient(value, [x, y])
        assert found[1] is None
        return found[0]

    assert float(gradients(tf.constant(1.0), tf.constant(1.0))) == 3.0


def test_under_xla_and_eagerly_it_is_the_same():
    policy = POLICIES[0]
    state = policy.initial_state([tf.zeros(7)])
    values = inner_loop.policy_variables(policy)
    values = [tf.convert_to_tensor(value) for value in values]

    def update(gradient):
        step_of = inner_loop.steps_of(policy, None)
        return step_of(values, gradient, gradient, state)[0]

    gradient = tf.constant(np.linspace(-2, 3, 7), "float32")
    compiled = tf.function(update, jit_compile=True)(gradient)
    np.testing.assert_allclose(compiled, update(gradient), rtol=1e-4, atol=1e-8)
