"""Students that are distilled at once, beside the same ones alone."""

import random

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import backend
from keras_l2o import perturbations
from keras_l2o import policies
from tests.conftest import flat_model
from tests.training import helpers

pytestmark = pytest.mark.backend


def trainer(problem, **options):
    return helpers.trainer(problem, **{"tasks": 1, "unroll": 3, **options})


def fit(model, *callbacks, **options):
    return model.fit(
        epochs=2, steps_per_epoch=2, verbose=0, callbacks=callbacks, **options
    ).history


@pytest.fixture(scope="module")
def pair(tiny_data):
    """Two students, as good as new for each test."""
    problem = keras_l2o.problems.Problem(flat_model, tiny_data, batch_size=16)
    model = trainer(problem, seed=5, replicates=2)
    model.compile(keras.optimizers.SGD(0.01))
    return helpers.Bench(model)


def alone(problem, seed):
    keras.utils.set_random_seed(seed)
    model = trainer(problem, student=policies.RNNProp(units=(4,)), seed=seed)
    model.compile(keras.optimizers.SGD(0.01))
    return model


def test_each_is_what_it_would_be_alone(pair, tiny_problem):
    noise = perturbations.Gaussian(1e-3, seed=3)
    model = pair.model()
    history = fit(model, noise)
    assert model.outer_steps == 4
    students = [model.get_student(index).get_weights() for index in range(2)]
    assert not np.allclose(students[0][0], students[1][0])
    bench = helpers.Bench(alone(tiny_problem, 0))
    for index in range(2):
        single = bench.like(alone(tiny_problem, 5 + index))
        expected = fit(single, perturbations.Gaussian(1e-3, seed=3))
        for ours, theirs in zip(students[index], single.student.get_weights()):
            np.testing.assert_allclose(ours, theirs, 1e-4, 1e-6)
        np.testing.assert_allclose(
            history[f"val_log_loss_replicate_{index}"],
            expected["val_log_loss"],
            1e-4,
        )
    rows = [history[f"val_log_loss_replicate_{i}"] for i in range(2)]
    np.testing.assert_allclose(
        history["val_log_loss"], np.mean(rows, axis=0), 1e-5
    )


@pytest.mark.usefixtures("few_outer_steps")
def test_a_trained_student_is_where_all_replicates_start(tiny_problem):
    trained = trainer(tiny_problem)
    trained.fit(epochs=1, steps_per_epoch=2, verbose=0)
    expected = trained.student.get_weights()
    model = trainer(tiny_problem, student=trained.student, seed=5, replicates=2)
    for index in range(2):
        for own, first in zip(model.get_student(index).get_weights(), expected):
            np.testing.assert_array_equal(own, first)
    model.fit(epochs=1, steps_per_epoch=2, verbose=0)
    pair = [model.get_student(index).get_weights()[0] for index in range(2)]
    assert (pair[0] != pair[1]).any()


def test_making_replicates_leaves_the_global_seeds(tiny_problem):
    def drawn():
        return random.random(), np.random.rand()  # noqa: NPY002

    keras.utils.set_random_seed(3)
    trainer(tiny_problem)
    expected = drawn()
    keras.utils.set_random_seed(3)
    trainer(tiny_problem, replicates=2)
    assert drawn() == expected


@pytest.mark.skipif(
    keras.backend.backend() != "jax",
    reason="elsewhere they are always one by one",
)
def test_one_by_one_or_side_by_side_is_the_same(tiny_problem, monkeypatch):
    def weights(one_by_one):
        monkeypatch.setattr(
            backend.jax, "_outgrows_cache", lambda values: one_by_one
        )
        model = trainer(tiny_problem, seed=5, replicates=2)
        model.compile(keras.optimizers.SGD(0.01))
        history = fit(model)
        return model.get_student(1).get_weights(), history

    (ours, history), (theirs, expected) = weights(True), weights(False)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, 1e-4, 1e-6)
    for name in expected:
        np.testing.assert_allclose(history[name], expected[name], 1e-4)


def test_training_goes_on_with_moments_and_data_where_it_stopped(
    tiny_problem,
):
    model = trainer(tiny_problem, seed=5, replicates=2)
    model.compile(keras.optimizers.Adam(1e-3))
    bench = helpers.Bench(model)
    results = []
    for epochs in ((2,), (1, 1)):
        model = bench.model()
        for count in epochs:
            model.fit(
                epochs=count,
                steps_per_epoch=3,
                verbose=0,
                validation_data=False,
            )
        results.append(
            [model.get_student(index).get_weights() for index in range(2)]
        )
    for whole, halves in zip(*results):
        for a, b in zip(whole, halves):
            np.testing.assert_allclose(a, b, 1e-5, 1e-7)


def test_an_optimizer_of_each_has_its_weights(pair):
    model = pair.model()
    model.fit(epochs=1, steps_per_epoch=1, verbose=0)
    for index in range(2):
        optimizer = model.to_optimizer(replicate=index)
        assert isinstance(optimizer, keras_l2o.LearnedOptimizer)
        for a, b in zip(
            optimizer.policy.get_weights(),
            model.get_student(index).get_weights(),
        ):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="replicate=2"):
        model.to_optimizer(replicate=2)
    with pytest.raises(ValueError, match="replicate=None"):
        model.to_optimizer()


def test_knobs_are_one_for_all(pair):
    model = pair.model()
    before = model.get_student(1).get_weights()
    model.optimizer.learning_rate = 0.0
    model.fit(epochs=1, steps_per_epoch=1, verbose=0)
    for a, b in zip(before, model.get_student(1).get_weights()):
        np.testing.assert_array_equal(a, b)
    model.meta_weight.assign(0.0)
    model.imitation_weight.assign(0.0)
    history = model.fit(epochs=1, steps_per_epoch=1, verbose=0).history
    assert history["loss"] == [0.0]


def test_their_weights_are_saved_and_loaded(pair, tiny_problem, tmp_path):
    path = tmp_path / "trainer.weights.h5"
    old = pair.model()
    old.fit(epochs=1, steps_per_epoch=1, verbose=0)
    old.save_weights(path)
    new = trainer(tiny_problem, seed=9, replicates=2)
    new.compile(keras.optimizers.SGD(0.01))
    new.load_weights(path)
    leaves = keras.tree.flatten(new.state._replace(metrics=[]))
    for own, saved in zip(
        leaves, keras.tree.flatten(old.state._replace(metrics=[]))
    ):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(own), keras.ops.convert_to_numpy(saved)
        )
    assert new.outer_steps == 1


@pytest.mark.usefixtures("few_outer_steps")
def test_negative_losses_of_any_replicate_are_warned_of(tiny_data):
    problem = keras_l2o.problems.Problem(
        flat_model, tiny_data, lambda y, x: keras.ops.mean(x) - 9.0, 16
    )
    model = trainer(problem, seed=5, replicates=2)
    with pytest.warns(UserWarning, match="loss was negative"):
        model.fit(epochs=1, steps_per_epoch=1, verbose=0)


def test_a_strategy_and_a_wrong_number_are_named(tiny_problem):
    model = trainer(tiny_problem, replicates=2)
    with pytest.raises(ValueError, match="strategy"):
        model.fit(callbacks=[keras_l2o.strategies.Repeat()], verbose=0)
    with pytest.raises(ValueError, match="replicates=0"):
        trainer(tiny_problem, replicates=0)
