import keras
import numpy as np
import pytest

from keras_l2o import policies
from tests.training.helpers import trainer

pytestmark = pytest.mark.backend


class Counting(policies.SGD):
    """Gradient descent that counts how often it is asked for updates."""

    count = 0

    def update(self, *arguments, **options):
        Counting.count += 1
        return super().update(*arguments, **options)


def plain(model):
    """What all policies come to when each step of the validation runs all."""
    loop, state = model.outer_loop, model.state
    for data in model.validation:
        state, logs = loop.validate(state, *data)
    return {name: float(value) for name, value in logs.items()}


@pytest.mark.parametrize("replicates", [None, 2])
def test_teachers_are_validated_once(tiny_problem, replicates):
    Counting.count = 0
    teachers = {"counting": Counting(0.1), "adam": policies.Adam(0.02)}
    model = trainer(
        tiny_problem,
        student=policies.Adam(trainable_hyperparameters=["learning_rate"]),
        teachers=teachers,
        unroll=2,
        depth=1,
        tasks=1,
        replicates=replicates,
    )
    # On JAX, whose eager steps take long, what is traced is counted alone.
    eager = keras.backend.backend() != "jax"
    model.compile(run_eagerly=eager)
    first = model.evaluate(verbose=0)
    before = Counting.count
    assert before
    history = model.fit(
        epochs=2, steps_per_epoch=1, validation_freq=2, verbose=0
    ).history
    # Their updates in training are counted, too.
    trained = Counting.count - before
    for name in ("counting_log_loss", "adam_log_loss"):
        assert history[f"val_{name}"] == [first[name]]
    last = model.evaluate(verbose=0)
    assert Counting.count == before + trained
    assert last["log_loss"] == history["val_log_loss"][0] != first["log_loss"]
    if replicates is None:
        for name, value in plain(model).items():
            np.testing.assert_allclose(last[name], value, 1e-5)

    # Other data, and another teacher.
    count = Counting.count
    model.set_validation(seed=9)
    other = model.evaluate(verbose=0)
    assert Counting.count > count or not eager
    assert other["adam_log_loss"] != first["adam_log_loss"]
    assert other["log_loss"] != last["log_loss"]


def test_a_teacher_with_other_weights_is_validated_again(tiny_problem):
    rule = policies.Adam(trainable_hyperparameters=["learning_rate"])
    model = trainer(tiny_problem, teachers=[rule])
    first, again = (model.evaluate(verbose=0) for _ in range(2))
    assert again == first
    (teacher,) = model.teachers
    teacher.set_weights([weight + 1.0 for weight in teacher.get_weights()])
    other = model.evaluate(verbose=0)
    assert other["adam_log_loss"] != first["adam_log_loss"]
    assert other["log_loss"] == first["log_loss"]
    np.testing.assert_allclose(
        other["adam_log_loss"], plain(model)["adam_log_loss"], 1e-5
    )
    # What a validation runs is made anew after each change that it shows.
    model.compile(keras.optimizers.SGD(0.1))
    assert model.evaluate(verbose=0) == pytest.approx(other, rel=1e-5)
    # Of a part of the data nothing is known.
    whole = model.evaluate(steps=len(model.validation), verbose=0)
    assert whole == pytest.approx(other, rel=1e-5)
