"""What is validated, and when."""

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import evaluation
from keras_l2o import problems


def lines():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 3)).astype("float32")
    y = x[:, :1] + 1.0
    data = problems.Dataset("lines", 0, x, y, x[:8], y[:8])
    return problems.Problem(
        lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]),
        data,
        loss="mse",
        batch_size=16,
        name="lines",
    )


@pytest.mark.backend
@pytest.mark.usefixtures("few_steps")
def test_a_schedule_free_run_is_validated_at_the_average():
    problem = lines()
    optimizer = keras.optimizers.ScheduleFreeAdamW(0.3)
    model = problem.new_model(0)
    variables = model.trainable_variables
    optimizer.build(variables)
    # One run of two steps, its path averaged by hand.
    convert = keras.ops.convert_to_numpy
    points = []
    for x, y in problem.stream(np.random.default_rng([0, 1]), 2):
        values = [np.array(convert(v)) for v in variables]
        slope = 2.0 * (x @ values[0] + values[1] - y) / len(x)
        optimizer.apply([x.T @ slope, slope.sum(axis=0)], variables)
        points.append(
            [
                (np.array(convert(v)) - 0.1 * np.array(convert(z))) / 0.9
                for v, z in zip(variables, optimizer._momentums)
            ]
        )
    x, y = problem.data.x_validation, problem.data.y_validation
    expected = np.mean((x @ points[-1][0] + points[-1][1] - y) ** 2)
    own = np.mean((convert(model(x)) - y) ** 2)
    assert abs(own - expected) > 1e-3
    frame = evaluation.evaluate(
        keras.optimizers.ScheduleFreeAdamW(0.3), problem, repeat=1, steps=2
    )
    found = frame["validation_loss"].iloc[-1]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    run = evaluation.train(
        problem, keras.optimizers.ScheduleFreeAdamW(0.3), 2, 1
    )
    np.testing.assert_allclose(run.validation_loss[-1], expected, rtol=1e-4)


@pytest.mark.backend
@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize(
    "make",
    [
        lambda **options: keras.optimizers.SGD(0.3, **options),
        lambda **options: keras_l2o.LearnedOptimizer("sgd", 30.0, **options),
    ],
)
def test_a_run_with_moving_averages_is_validated_at_them(make):
    problem = lines()
    plain = [
        evaluation.train(problem, make(), steps, seed=1).validation_loss[-1]
        for steps in (1, 3)
    ]
    # The average of three steps that forgets nothing is its first step.
    frozen, moving = (
        {"use_ema": True, "ema_momentum": momentum} for momentum in (1.0, 0.0)
    )
    for options, expected in zip((frozen, moving), plain):
        run = evaluation.train(problem, make(**options), 3, seed=1)
        np.testing.assert_allclose(run.validation_loss[-1], expected, rtol=1e-4)
        frame = evaluation.evaluate(
            make(**options), problem, repeat=1, steps=3, seed=1
        )
        found = frame["validation_loss"].iloc[-1]
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert abs(plain[0] - plain[1]) > 1e-3


@pytest.mark.usefixtures("few_steps")
def test_runs_are_validated_as_often_as_asked(tmp_path):
    frame = keras_l2o.evaluate(
        keras.optimizers.SGD(0.1), lines(), repeat=1, steps=7, epoch_steps=3
    )
    assert list(frame["step"]) == [3, 6, 7]
    with pytest.raises(ValueError, match="epoch_steps"):
        evaluation.Protocol(epoch_steps=0)
