"""A program for each problem, beside one for all of them."""

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import perturbations
from keras_l2o import policies
from keras_l2o.training.programs import Programs

pytestmark = pytest.mark.backend


def trainer(names=("quadratic_10", "rastrigin_2"), **options):
    return keras_l2o.MetaTrainer(
        policies.SGD(0.01, trainable_hyperparameters=["learning_rate"]),
        [policies.Adam(0.01)],
        list(names),
        unroll=4,
        depth=(1, 2),
        tasks=1,
        validation_depth=1,
        validation_tasks=1,
        **options,
    )


def results(jit_compile, *callbacks):
    model = trainer()
    model.compile(keras.optimizers.SGD(1.0), jit_compile=jit_compile)
    history = model.fit(
        epochs=2, steps_per_epoch=2, verbose=0, callbacks=list(callbacks)
    )
    return [*model.student.get_weights(), *history.history.values()]


needs_jax = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="JAX alone compiles parts"
)


@needs_jax
@pytest.mark.parametrize("attacked", [False, True])
def test_apart_they_give_what_they_give_together(attacked):
    def found(jit_compile):
        keras.utils.set_random_seed(0)
        attack = [perturbations.PGD(1e-3)] if attacked else []
        return results(jit_compile, *attack)

    for one, other in zip(found(True), found("by_problem")):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@needs_jax
def test_what_changes_between_fits_is_compiled_again():
    model = trainer()
    model.compile(jit_compile="by_problem")
    fit = {"epochs": 1, "steps_per_epoch": 1, "verbose": 0}
    model.fit(**fit)
    model.set_episodes(unroll=3)
    model.fit(**fit, callbacks=[perturbations.Gaussian(1e-3)])
    (step,) = model.fit(**fit).history["loss"]
    assert np.isfinite(step)
    # a program that was traced for four steps would have kept four
    model.compile(jit_compile="by_problem")
    (again,) = model.fit(**fit).history["loss"]
    assert np.isfinite(again)


@needs_jax
def test_many_problems_have_a_program_each_unless_told_otherwise():
    model = trainer(["quadratic_10"] * 5)
    model.compile()
    assert model.programs.apart
    model.compile(jit_compile=True)
    assert not model.programs.apart
    model = trainer(["quadratic_10"] * 4)
    model.compile()
    assert not model.programs.apart


def test_where_it_cannot_be_it_is_refused():
    if keras.backend.backend() == "jax":
        model = trainer(replicates=2)
    else:
        model = trainer()
    with pytest.raises(ValueError, match="'by_problem' on the backend `jax`"):
        model.compile(jit_compile="by_problem")
    model.compile()
    assert not model.programs.apart


def test_programs_are_kept_by_name_until_they_are_cleared():
    calls = []

    def function(x):
        calls.append(x)
        return x

    together = Programs(apart=False)
    for _ in range(2):
        together.run(("estimate", 0), function, 1)
    assert len(calls) == 2
    if keras.backend.backend() != "jax":
        return
    apart = Programs(apart=True)
    calls.clear()
    for cleared, traced in (("validate", 1), ("estimate", 2)):
        apart.run(("estimate", 0), lambda x: function(x), 1)
        apart.clear(cleared)
        apart.run(("estimate", 0), lambda x: function(x), 1)
        assert len(calls) == traced


def drawing(**options):
    return keras_l2o.MetaTrainer(
        policies.SGD(0.01, trainable_hyperparameters=["learning_rate"]),
        [policies.Adam(0.01)],
        ["quadratic_10", "rastrigin_2", "quadratic_20"],
        unroll=3,
        depth=(1, 2),
        tasks=2,
        validation_depth=1,
        validation_tasks=1,
        estimator="full_unroll",
        **options,
    )


def test_an_outer_step_draws_its_problems():
    model = drawing(problems_per_step=2)
    if keras.backend.backend() == "tensorflow":
        with pytest.raises(ValueError, match="on JAX, compiled with"):
            model.compile()
        return
    on_jax = keras.backend.backend() == "jax"
    model.compile(jit_compile="by_problem" if on_jax else False)
    drawn = [model.episodes.drawn(step) for step in range(30)]
    assert {len(set(row)) for row in drawn} == {2}
    assert len({tuple(sorted(row)) for row in drawn}) == 3
    (one, other) = model.episodes.at(0)
    sizes = [part["parameters"].shape[1] for part in (one, other)]
    assert sizes == [[10, 2, 20][index] for index in drawn[0]]
    history = model.fit(epochs=1, steps_per_epoch=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_the_outer_step_is_that_of_the_problems_alone():
    model = drawing(problems_per_step=2)
    index = model.episodes.drawn(0)
    alone = keras_l2o.MetaTrainer(
        model.student.copy(), model.teachers, model.problems, unroll=3,
        depth=(1, 2), tasks=2, estimator="full_unroll",
    )  # fmt: skip
    whole = alone.episodes.at(0)
    for part, number in zip(model.episodes.at(0), index):
        np.testing.assert_array_equal(part.pop("problem"), number)
        for one, other in zip(
            keras.tree.flatten(part), keras.tree.flatten(whole[number])
        ):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("count", [0, 4])
def test_as_many_as_there_are_at_most(count):
    with pytest.raises(ValueError, match="`problems_per_step` must"):
        drawing(problems_per_step=count)


def test_truncated_episodes_miss_no_truncation():
    with pytest.raises(ValueError, match="an estimator of whole episodes"):
        trainer(problems_per_step=1)


@needs_jax
def test_a_step_that_is_traced_has_all_problems():
    model = drawing(problems_per_step=2)
    with pytest.raises(ValueError, match="runs as it is"):
        model.compile(jit_compile=True)
