"""An evaluation tells policies how long a run is."""

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import policies

pytestmark = pytest.mark.backend


def test_a_run_ends_where_the_policy_thinks_it_ends(tiny_problem):
    def losses(optimizer, **options):
        run = keras_l2o.evaluation.train(tiny_problem, optimizer, **options)
        return run.losses

    rule = policies.Cosine(policies.Adam(0.05))
    told = losses(keras_l2o.LearnedOptimizer(rule), steps=6)
    itself = losses(keras_l2o.LearnedOptimizer(rule, total_steps=6), steps=6)
    other = losses(keras_l2o.LearnedOptimizer(rule, total_steps=60), steps=6)
    np.testing.assert_array_equal(told, itself)
    assert (told[1:] != other[1:]).any()


def test_it_tells_when_the_problems_examples_come_again(tiny_problem):
    assert tiny_problem.epoch_steps > 0
    for own, expected in ((None, tiny_problem.epoch_steps), (7, 7)):
        rule = policies.Cosine(policies.Adam(0.05))
        optimizer = keras_l2o.LearnedOptimizer(rule, epoch_steps=own)
        keras_l2o.evaluation.train(tiny_problem, optimizer, steps=2)
        assert optimizer.horizon == policies.Horizon(0, 2, expected)


def test_runs_side_by_side_are_told_too(tiny_problem):
    rule = policies.Cosine(policies.Adam(0.05))
    scaled = keras.optimizers.LossScaleOptimizer(
        keras_l2o.LearnedOptimizer(rule)
    )
    frame = keras_l2o.evaluate(scaled, tiny_problem, repeat=2, steps=6)
    alone = keras_l2o.evaluation.train(
        tiny_problem,
        keras_l2o.LearnedOptimizer(rule, total_steps=6),
        steps=6,
        epoch_steps=2,
    )
    last = frame[(frame.run == 0) & (frame.step == 6)]
    np.testing.assert_allclose(
        last.train_loss, np.mean(alone.losses[4:]), rtol=1e-4
    )
