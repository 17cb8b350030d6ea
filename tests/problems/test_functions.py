import keras
import numpy as np
import pytest
from keras import ops

import keras_l2o
from keras_l2o import backend
from keras_l2o import problems

pytestmark = [pytest.mark.backend, pytest.mark.quick]


def numpy(tensor):
    return ops.convert_to_numpy(ops.stop_gradient(tensor))


def value_and_gradient(name, seed):
    problem = problems.get(name)
    trainable, non_trainable = problem.initial_values(seed)
    batch = problem.batches(np.random.default_rng(0), 1)
    batch = [ops.convert_to_tensor(leaf[0]) for leaf in batch]

    def loss(variables):
        constants = [ops.convert_to_tensor(v) for v in non_trainable]
        return problem.loss_value(variables, constants, batch)

    (value, _), (gradient,) = backend.value_and_grad(loss)(
        [ops.convert_to_tensor(v) for v in trainable]
    )
    return trainable[0], non_trainable, numpy(value), numpy(gradient)


@pytest.mark.parametrize("dimension", [10, 20])
def test_quadratic_is_the_squared_residual(dimension):
    point, (matrix, target), value, gradient = value_and_gradient(
        f"quadratic_{dimension}", 3
    )
    assert matrix.shape == (dimension, dimension)
    residual = matrix @ point - target
    assert value == pytest.approx(residual @ residual, rel=1e-5)
    np.testing.assert_allclose(gradient, 2 * matrix.T @ residual, rtol=1e-4)


@pytest.mark.parametrize("dimension", [2, 10])
def test_rastrigin_is_a_quadratic_under_waves(dimension):
    x, (matrix, b, c), value, gradient = value_and_gradient(
        f"rastrigin_{dimension}", 4
    )
    residual = matrix @ x - b
    waves = np.sum(np.abs(c) - c * np.cos(2 * np.pi * x))
    assert value == pytest.approx(residual @ residual + 10 * waves, rel=1e-5)
    slope = 2 * np.pi * 10 * c * np.sin(2 * np.pi * x)
    np.testing.assert_allclose(
        gradient, 2 * matrix.T @ residual + slope, rtol=1e-3, atol=1e-3
    )


def test_each_seed_draws_another_function_from_the_normal_distribution():
    problem = problems.get("quadratic_100")
    (_,), (first, _) = problem.initial_values(0)
    (_,), (again, _) = problem.initial_values(0)
    (_,), (other, _) = problem.initial_values(1)
    np.testing.assert_array_equal(first, again)
    assert np.corrcoef(first.ravel(), other.ravel())[0, 1] < 0.1
    assert first.mean() == pytest.approx(0, abs=0.05)
    assert first.std() == pytest.approx(1, abs=0.05)


def test_a_function_is_trained_on_by_fit_and_by_meta_training():
    problem = problems.get("quadratic_10")
    model = problem.new_model(0)
    model.compile(keras.optimizers.Adam(0.1), loss=problem.loss)
    x, y = problem.batches(np.random.default_rng(0), 1)
    first = model.train_on_batch(x[0], y[0])
    for _ in range(20):
        model.reset_metrics()
        last = model.train_on_batch(x[0], y[0])
    assert last < first
    trainer = keras_l2o.MetaTrainer(
        keras_l2o.policies.RNNProp(units=(2,)),
        [keras_l2o.policies.Adam(0.1)],
        "rastrigin_2",
        unroll=2,
        tasks=1,
        depth=2,
    )
    history = trainer.fit(epochs=1, steps_per_epoch=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
