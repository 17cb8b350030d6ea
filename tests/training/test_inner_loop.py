"""The unroll's gradient, against finite differences and a plain loop."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import backend
from keras_l2o import policies
from keras_l2o import problems
from keras_l2o.training import inner_loop
from keras_l2o.training.objective import Objective
from keras_l2o.training.task import Distillation
from tests.conftest import tiny_model

UNROLL = 3


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def number(tensor):
    return float(ops.convert_to_numpy(ops.stop_gradient(tensor)))


def setting(dtype, data):
    x, y = data
    problem = problems.Problem(
        lambda: tiny_model(dtype), (x.astype(dtype), y), batch_size=16
    )
    student = policies.RNNProp(units=(3, 2), dtype=dtype, odd=False)
    student.build(None)
    rng = np.random.default_rng(0)
    student.set_weights(
        [rng.normal(size=w.shape) * 0.5 for w in student.get_weights()]
    )
    teachers = [
        policies.Adam(0.05, dtype=dtype),
        policies.SGD(0.1, dtype=dtype),
    ]
    parameters = np.concatenate(
        [p.ravel() for p in problem.initial_values(1)[0]]
    )
    scale = np.exp(rng.uniform(-1, 1, parameters.shape)).astype(dtype)
    batches = problem.batches(np.random.default_rng(2), UNROLL)
    return problem, student, teachers, parameters, scale, batches


def objective(
    setting, weights, reduce="max", noise=(), teacher_values=None, **options
):
    """The outer objective as a function of the student's weights."""
    made = Objective(reduce, **options)
    problem, student, teachers, parameters, scale, batches = setting
    parameters = ops.convert_to_tensor(parameters)
    distillation = Distillation(student, teachers, made, len(batches[0]))
    reached, records = inner_loop.unroll(
        distillation,
        problem,
        [weights, *(teacher_values or [[]] * len(teachers))],
        tuple(
            inner_loop.start(policy, problem, parameters, ())
            for policy in distillation.pool
        ),
        inner_loop.Inputs(
            keras.tree.map_structure(ops.convert_to_tensor, batches),
            noise=[ops.convert_to_tensor(row) for row in noise],
        ),
        inner_loop.Conditions(scale=ops.convert_to_tensor(scale)),
    )
    return made(records, 1.0, 0.5)[0], (reached, records)


def outer_gradient(setting, **options):
    value, gradients, _ = outer_results(setting, **options)
    return value, gradients


def outer_results(setting, **options):
    values = [backend.read(v) for v in inner_loop.policy_variables(setting[1])]
    count = len(setting[1].trainable_variables)

    def function(weights):
        return objective(setting, [*weights, *values[count:]], **options)

    (value, results), gradients = backend.value_and_grad(function)(
        values[:count]
    )
    return value, gradients, results


def plain_loop(setting):
    """The same, one operation after the other, in NumPy and float64.

    Only the loss and its gradient come from Keras, one call an inner step.
    """
    problem, student, _, parameters, scale, batches = setting
    weights = [w.astype("float64") for w in student.get_weights()]
    n = len(parameters)

    def loss_and_gradient(point, step):
        batch = [ops.convert_to_tensor(leaf[step]) for leaf in batches]
        (value, _), (gradient,) = backend.value_and_grad(
            lambda v: problem.loss_value(problem.unravel(v[0]), [], batch)
        )([ops.convert_to_tensor(point.astype(parameters.dtype))])
        return number(value), np.asarray(
            ops.convert_to_numpy(ops.stop_gradient(gradient)), "float64"
        )

    theta = adam = sgd = np.asarray(parameters, "float64")
    states = [
        np.zeros((n, 3)),
        np.zeros((n, 3)),
        np.zeros((n, 2)),
        np.zeros((n, 2)),
    ]
    m = v = am = av = np.zeros(n)
    total = 0.0
    for step in range(UNROLL):
        t = step + 1
        loss, g = loss_and_gradient(theta, step)
        start, _ = loss_and_gradient(np.asarray(parameters), step)
        g = g * scale
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        root = np.sqrt(v / (1 - 0.999**t) + 1e-10)
        x = np.stack([m / (1 - 0.9**t) / root, g / root], 1)
        for layer in range(2):
            w, u, b = weights[3 * layer : 3 * layer + 3]
            h, c = states[2 * layer : 2 * layer + 2]
            i, f, a, o = np.split(x @ w + h @ u + b, 4, 1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(a)
            x = sigmoid(o) * np.tanh(c)
            states[2 * layer : 2 * layer + 2] = [x, c]
        update = 0.1 * np.tanh(x @ weights[6] + weights[7])[:, 0]
        theta = theta - scale * update
        _, g = loss_and_gradient(adam, step)
        am, av = 0.9 * am + 0.1 * g, 0.999 * av + 0.001 * g * g
        adam = adam - 0.05 * am / (1 - 0.9**t) / np.sqrt(
            av / (1 - 0.999**t) + 1e-10
        )
        _, g = loss_and_gradient(sgd, step)
        sgd = sgd - 0.1 * g
        distances = [np.log(np.mean((theta - o) ** 2)) for o in (adam, sgd)]
        total += (np.log(loss) - np.log(start) + 0.5 * max(distances)) / UNROLL
    return total


@pytest.mark.backend
@pytest.mark.quick
def test_objective_is_that_of_a_plain_loop(tiny_data):
    made = setting("float32", tiny_data)
    value, _ = outer_gradient(made)
    assert number(value) == pytest.approx(plain_loop(made), rel=1e-4)


# JAX has float64 off by default, and Keras's torch products are float32.
if keras.backend.backend() == "tensorflow":

    def test_outer_gradient_matches_finite_differences_in_float64(tiny_data):
        made = setting("float64", tiny_data)
        student = made[1]
        _, gradients = outer_gradient(made)
        weights = student.get_weights()
        rng = np.random.default_rng(3)
        for index, gradient in enumerate(gradients):
            gradient = ops.convert_to_numpy(gradient)
            direction = rng.normal(size=weights[index].shape)
            ends = []
            for sign in (1, -1):
                moved = [w.copy() for w in weights]
                moved[index] += sign * 1e-6 * direction
                student.set_weights(moved)
                ends.append(plain_value(made))
            student.set_weights(weights)
            difference = (ends[0] - ends[1]) / 2e-6
            expected = np.sum(gradient * direction)
            assert difference == pytest.approx(expected, rel=1e-5, abs=1e-9)


def plain_value(made):
    values = [backend.read(v) for v in inner_loop.policy_variables(made[1])]
    return number(objective(made, values)[0])


@pytest.mark.backend
def test_compiled_outer_gradient_equals_eager(tiny_data):
    made = setting("float32", tiny_data)
    _, eager = outer_gradient(made)
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        compiled = tensorflow.function(lambda: outer_gradient(made)[1])()
    elif keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit(lambda: outer_gradient(made)[1])()
    else:
        compiled = outer_gradient(made)[1]
    for a, b in zip(eager, compiled):
        np.testing.assert_allclose(
            ops.convert_to_numpy(a), ops.convert_to_numpy(b), 1e-4, 1e-6
        )


@pytest.mark.backend
def test_a_teacher_that_is_not_finite_changes_nothing_but_itself(tiny_data):
    made = list(setting("float32", tiny_data))
    made[2] = [made[2][0], policies.SGD(1e38)]
    value, gradients = outer_gradient(tuple(made))
    assert np.isfinite(number(value))
    for gradient in gradients:
        assert np.isfinite(ops.convert_to_numpy(gradient)).all()
    made[2] = [made[2][0], made[2][0].copy()]
    expected, _ = outer_gradient(tuple(made))
    assert number(value) == pytest.approx(number(expected), rel=1e-5)


def cut(setting, steps):
    """The same setting with the first batches alone."""
    return (*setting[:5], tuple(leaf[:steps] for leaf in setting[5]))


def end(reached):
    return ops.convert_to_numpy(ops.stop_gradient(reached[0].parameters))


@pytest.mark.backend
def test_input_noise_is_added_to_the_gradient_the_student_sees(tiny_data):
    made = list(cut(setting("float32", tiny_data), 1))
    made[1], made[2] = policies.SGD(0.1), []
    scale = made[4]
    noise = np.random.default_rng(4).normal(size=(1, len(scale)))
    noise = noise.astype("float32")
    _, (noisy, _) = objective(made, [], noise=[noise])
    _, (plain, _) = objective(made, [])
    np.testing.assert_allclose(
        end(noisy) - end(plain), -0.1 * scale * noise[0], rtol=1e-3, atol=1e-6
    )


@pytest.mark.backend
def test_an_unroll_that_goes_wrong_stops_where_it_stands(tiny_data):
    made = setting("float32", tiny_data)
    made[1].learning_rate = 30.0  # a leap that raises the loss at once
    options = dict(stop_above=3.0, step_weights="sum")
    value, gradients, (reached, records) = outer_results(made, **options)
    running = ops.convert_to_numpy(records.running)
    losses = ops.convert_to_numpy(ops.stop_gradient(records.losses))
    first = ops.convert_to_numpy(records.initial_losses)
    assert running.tolist() == [True, True, False]
    assert losses[1] > 3.0 * first[1]
    # The second step counts, without its update; the third does not at all.
    two_value, two_gradients, (two, _) = outer_results(cut(made, 2), **options)
    assert number(value) == pytest.approx(number(two_value), rel=1e-5)
    for a, b in zip(gradients, two_gradients):
        a, b = ops.convert_to_numpy(a), ops.convert_to_numpy(b)
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    _, _, (one, _) = outer_results(cut(made, 1), **options)
    np.testing.assert_allclose(end(reached), end(one), rtol=1e-5)
    np.testing.assert_allclose(end(two), end(one), rtol=1e-5)


@pytest.mark.backend
def test_a_stopped_unroll_is_finite_where_the_loss_overflows(tiny_data):
    made = setting("float32", tiny_data)
    made[1].learning_rate = 1e12
    value, gradients, (reached, _) = outer_results(made, stop_above=10.0)
    assert np.isfinite(number(value))
    assert np.isfinite(end(reached)).all()
    for gradient in gradients:
        assert np.isfinite(ops.convert_to_numpy(gradient)).all()


@pytest.mark.backend
def test_a_teacher_that_the_student_coincides_with_gives_a_finite_gradient(
    tiny_data,
):
    # the distance is zero at every step
    made = list(setting("float32", tiny_data))
    made[4] = np.ones_like(made[4])
    twin = made[1].copy()
    twin.trainable = False
    made[2] = [twin]
    values = weights_of(twin)
    value, gradients, (_, records) = outer_results(
        made, teacher_values=[values]
    )
    # XLA may round the two apart, by far less than a step
    distances = ops.convert_to_numpy(ops.stop_gradient(records.log_distances))
    assert np.isfinite(distances).all()
    assert (distances < np.log(1e-12)).all()
    assert np.isfinite(number(value))
    for gradient in gradients:
        assert np.isfinite(ops.convert_to_numpy(gradient)).all()


def weights_of(policy):
    return [backend.read(v) for v in inner_loop.policy_variables(policy)]
