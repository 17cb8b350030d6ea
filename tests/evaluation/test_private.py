import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import backend
from keras_l2o import problems
from keras_l2o.evaluation import private

pytestmark = pytest.mark.backend


def numpy(tensor):
    return ops.convert_to_numpy(ops.stop_gradient(tensor))


@pytest.fixture
def problem(tiny_data):
    return problems.Problem(
        problems.networks.conv((6, 6, 1), 3, layers=((4, 3), 2)),
        tiny_data,
        batch_size=8,
    )


def plain_gradients(problem, model, x, y):
    """Each example's gradient, by a plain loop of batches of one."""
    values = [backend.read(v) for v in model.trainable_variables]
    rows = []
    for i in range(len(x)):
        batch = [ops.convert_to_tensor(part[i : i + 1]) for part in (x, y)]
        _, gradients = backend.value_and_grad(
            lambda v, batch=batch: problem.loss_value(v, [], batch)
        )(values)
        rows.append([numpy(g) for g in gradients])
    return rows


@pytest.mark.parametrize("clip", [0.5, 100.0])
def test_a_private_step_is_the_plain_loop_of_clipped_gradients(problem, clip):
    model = problem.new_model(0)
    x, y = (a[0] for a in problem.batches(np.random.default_rng(0), 1))
    rows = plain_gradients(problem, model, x, y)
    norms = [np.sqrt(sum(np.sum(g**2) for g in row)) for row in rows]
    assert (np.array(norms) > 0.5).any()
    expected = [
        v - 0.1 * sum(
            row[k] * min(1, clip / norm) for row, norm in zip(rows, norms)
        ) / len(x)
        for k, v in enumerate(model.get_weights())
    ]  # fmt: skip
    wrapped = private.PrivateModel(
        problem, model, private.Privacy(clip, noise_multiplier=0.0), seed=0
    )
    # Of a scaled loss, the step is the same.
    wrapped.compile(keras.optimizers.SGD(0.1, loss_scale_factor=16))
    wrapped.train_on_batch(x, y)
    for value, wanted in zip(model.get_weights(), expected):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-6)


def test_the_noise_has_the_spread_of_the_settings(problem):
    settings = private.Privacy(clip=2.0, noise_multiplier=3.0)
    moved = []
    for noise in (0.0, settings.noise_multiplier):
        model = problem.new_model(0)
        x, y = (a[0] for a in problem.batches(np.random.default_rng(0), 1))
        wrapped = private.PrivateModel(
            problem, model, settings._replace(noise_multiplier=noise), seed=1
        )
        wrapped.compile(keras.optimizers.SGD(1.0))
        for _ in range(2):
            before = model.get_weights()
            wrapped.train_on_batch(x, y)
        moved.append(
            np.concatenate(
                [(a - b).ravel() for a, b in zip(before, model.get_weights())]
            )
        )
    # the second step: noise that comes anew, seen beside bounded gradients
    assert np.std(moved[1]) == pytest.approx(2.0 * 3.0 / len(x), rel=0.25)
    assert np.linalg.norm(moved[0]) <= 2.0 + 1e-5


def test_a_model_in_which_examples_touch_is_refused(tiny_data):
    problem = problems.Problem(
        problems.nas((6, 6, 1), 3, cells=1), tiny_data, batch_size=8
    )
    with pytest.raises(ValueError, match="batch normalization"):
        private.PrivateModel(problem, problem.model, private.Privacy(), 0)


def test_epsilon_grows_with_steps_and_falls_with_noise():
    def spent(steps, noise):
        return private.epsilon(private.Privacy(1.0, noise), 128, 60_000, steps)

    assert spent(11_700, 1.1) == pytest.approx(1.13, abs=0.02)
    assert spent(1_000, 1.1) < spent(11_700, 1.1) < spent(11_700, 0.8)
