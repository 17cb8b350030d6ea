"""The loop over steps, plain and rematerialized, and the loop over tasks."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import backend

pytestmark = pytest.mark.backend

STEPS = 4


def pursuit(weights, inputs, rematerialize, keep=True):
    """A student that follows a teacher, with all that a carry may have.

    Returns:
        A loss of the outputs and of the last carry, which is the auxiliary.
    """
    rate, matrix, _ = weights

    def body(carry, row):
        student, teacher, count, alive = carry
        teacher = ops.stop_gradient(ops.tanh(ops.matmul(teacher, matrix)))
        if keep:
            teacher = backend.kept(teacher)
        (gap, _), (gradient,) = backend.value_and_grad(
            lambda found: (ops.sum(ops.tanh(found[0] - teacher * row) ** 2), ())
        )([student])
        student = student - ops.sin(rate * gradient) * ops.cast(
            count + 1, "float32"
        )
        student = ops.where(alive, ops.matmul(student, matrix), student)
        alive = ops.logical_and(alive, ops.max(student) < 1e6)
        return (student, teacher, count + 1, alive), (gap, count)

    start = ops.ones((3, 3), "float32") / 2
    carry, (gaps, counts) = backend.scan(
        body,
        (start, start, ops.zeros((), "int32"), ops.ones((), "bool")),
        inputs,
        STEPS,
        rematerialize,
    )
    return ops.sum(gaps) + ops.sum(carry[0] ** 3), (carry, counts)


@pytest.fixture
def weights():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(3, 3)) / 2
    # The third is not used.
    return [
        ops.convert_to_tensor(x, "float32") for x in (0.2, matrix, [1.0, 2.0])
    ]


@pytest.fixture
def inputs():
    return ops.convert_to_tensor(
        np.random.default_rng(1).normal(size=(STEPS, 1)), "float32"
    )


def differentiated(function):
    """The function's gradient in a graph, where there is one."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    return function


def gradient_of(weights, inputs, *options):
    found = differentiated(
        lambda weights: backend.value_and_grad(
            lambda weights: pursuit(weights, inputs, *options)
        )(weights)
    )(weights)
    return keras.tree.map_structure(ops.convert_to_numpy, found)


@pytest.mark.parametrize("keep", [False, True])
def test_a_rematerialized_scan_has_the_plain_ones_gradient(
    weights, inputs, keep
):
    plain = gradient_of(weights, inputs, False, keep)
    again = gradient_of(weights, inputs, True, keep)
    for a, b in zip(keras.tree.flatten(plain), keras.tree.flatten(again)):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    _, (of_rate, of_matrix, of_nothing) = again
    assert of_rate
    assert of_matrix.all()
    assert not of_nothing.any()


def test_its_gradient_is_that_of_differences(weights, inputs):
    _, (found, *_) = gradient_of(weights, inputs, True)
    values = [
        ops.convert_to_numpy(
            pursuit([weights[0] + step, *weights[1:]], inputs, True)[0]
        )
        for step in (-1e-2, 1e-2)
    ]
    assert found == pytest.approx(np.diff(values)[0] / 2e-2, rel=1e-2)


def test_a_rematerialized_scan_without_a_gradient_is_the_plain_one(
    weights, inputs
):
    for a, b in zip(
        keras.tree.flatten(pursuit(weights, inputs, False)),
        keras.tree.flatten(pursuit(weights, inputs, True)),
    ):
        np.testing.assert_allclose(
            ops.convert_to_numpy(a), ops.convert_to_numpy(b), rtol=1e-6
        )


@pytest.mark.parametrize("tasks", [1, 3])
def test_tasks_are_stacked_in_their_order(weights, inputs, tasks):
    many = ops.stack([inputs * (1 + task) for task in range(tasks)])

    def run(many):
        return backend.map_tasks(
            lambda inputs, weights: {
                "loss": pursuit(weights, inputs, False)[0]
            },
            many,
            weights,
            tasks,
        )

    found = ops.convert_to_numpy(differentiated(run)(many)["loss"])
    expected = [pursuit(weights, many[task], False)[0] for task in range(tasks)]
    np.testing.assert_allclose(
        found, np.stack([ops.convert_to_numpy(x) for x in expected]), 1e-5
    )
