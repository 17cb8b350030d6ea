"""A run of several replicates: one plan, an optimizer for each."""

import csv
import shutil

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import policies
from keras_l2o import strategies
from tests.conftest import flat_model
from tests.training.helpers import Bench
from tests.training.helpers import trainer

pytestmark = pytest.mark.backend


def plan(directory, **options):
    arguments = dict(num_periods=3, unroll=3, depth=3, episodes=1)
    arguments |= dict(shortest_depth=1, validation_depth=2, seed=4)
    return strategies.Simple(str(directory), **{**arguments, **options})


def family(problem, replicates=2, odd=True):
    return trainer(
        problem,
        student=policies.FeatureMLP(name="student", odd=odd),
        teachers=[policies.Adam(0.02, name="adam")],
        unroll=3,
        tasks=1,
        seed=4,
        replicates=replicates,
    )


@pytest.fixture(scope="module")
def shared(tiny_data):
    """Makes families of two from one that is traced once, as good as new."""
    return Bench(made(family(problem(tiny_data)))).model


@pytest.fixture(scope="module")
def soon_worse(tiny_data):
    """The same, of a student whose first period is the best."""
    model = family(problem(tiny_data), odd=False)
    model.compile(keras.optimizers.SGD(30.0), gradient_clipping=None)
    return Bench(made(model)).model


def problem(data):
    return keras_l2o.problems.Problem(flat_model, data, batch_size=16)


def made(model):
    """The family with the variables that its outer optimizer keeps."""
    if not model.compiled:
        model.compile()
    model.optimizer.build(model.trainable_variables)
    return model


def rows(directory):
    with open(directory / "summary.csv") as file:
        lines = list(csv.DictReader(file))
    # Checkpoints hold Keras's automatic names, which count up in a process.
    spared = ("seconds", "sha256")
    return [{k: v for k, v in x.items() if k not in spared} for x in lines]


def optimizers(directory):
    return [
        keras_l2o.load(directory / str(number) / "optimizer")
        for number in (1, 2)
    ]


def test_each_replicate_leaves_the_student_of_its_best_period(shared, tmp_path):
    model = shared()
    students = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            pair = [model.get_student(i).get_weights() for i in range(2)]
            students.append(pair)

    model.fit(callbacks=[plan(tmp_path), Look()], verbose=0)
    lines = rows(tmp_path)
    assert len(lines) == len(students) == 3
    assert model.outer_steps == 9
    for index, optimizer in enumerate(optimizers(tmp_path)):
        name = f"val_log_loss_replicate_{index}"
        best = int(np.argmin([float(line[name]) for line in lines]))
        for own, kept, there in zip(
            optimizer.policy.get_weights(),
            students[best][index],
            model.to_optimizer(replicate=index).policy.get_weights(),
        ):
            np.testing.assert_array_equal(own, kept)
            np.testing.assert_array_equal(own, there)
        folder = tmp_path / str(index + 1) / "optimizer"
        metadata = keras_l2o.hub.folder.read_metadata(folder)
        assert metadata["seed"] == 4 + index
        assert metadata["figures"]["val_log_loss"] == float(lines[best][name])


@pytest.mark.parametrize("kept", [True, False])
def test_in_the_end_each_replicate_is_its_best_not_its_last(
    soon_worse, tmp_path, kept
):
    model, students = soon_worse(), []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            losses = [logs[f"val_log_loss_replicate_{i}"] for i in range(2)]
            weights = [model.get_student(i).get_weights() for i in range(2)]
            students.append((losses, weights))

    directory = tmp_path if kept else None
    strategy = strategies.Simple(
        directory, num_periods=3, unroll=3, depth=2, episodes=1, seed=4
    )
    model.fit(callbacks=[strategy, Look()], verbose=0)
    found = [policy_weights(model)]
    if kept:  # taken up again, there is nothing left but the end
        again = strategies.Simple(
            directory, num_periods=3, unroll=3, depth=2, episodes=1, seed=4
        )
        model = soon_worse()
        model.fit(callbacks=[again], verbose=0)
        found.append(policy_weights(model))
    lasts = 0
    for index in range(2):
        best = int(np.argmin([losses[index] for losses, _ in students]))
        lasts += best == 2
        for replicates in found:
            for own, there in zip(replicates[index], students[best][1][index]):
                np.testing.assert_array_equal(own, there)
    assert lasts < 2


def policy_weights(model):
    return [
        model.to_optimizer(replicate=index).policy.get_weights()
        for index in range(2)
    ]


def test_a_family_that_was_killed_ends_as_one_that_was_not(shared, tmp_path):
    class Killed(Exception):
        pass

    class Kill(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            begun = (tmp_path / "b" / "summary.csv").exists()
            if begun and len(rows(tmp_path / "b")) == 2:
                raise Killed

    model = shared()
    model.fit(callbacks=[plan(tmp_path / "a")], verbose=0)
    whole = [model.get_student(index).get_weights() for index in range(2)]
    with pytest.raises(Killed):
        shared().fit(callbacks=[plan(tmp_path / "b"), Kill()], verbose=0)
    # As if the kill had come before the last period's optimizers.
    files = strategies.RunDirectory(tmp_path / "b")
    for number in (1, 2):
        if files.checkpoint_of(number) == files.rows()[-1].checkpoint:
            shutil.rmtree(tmp_path / "b" / str(number))
    model = shared()
    model.fit(callbacks=[plan(tmp_path / "b")], verbose=0)
    assert rows(tmp_path / "b") == rows(tmp_path / "a")
    for index in range(2):
        for own, kept in zip(
            model.get_student(index).get_weights(), whole[index]
        ):
            np.testing.assert_array_equal(own, kept)
    for own, kept in zip(
        optimizers(tmp_path / "b"), optimizers(tmp_path / "a")
    ):
        np.testing.assert_array_equal(
            own.policy.get_weights()[0], kept.policy.get_weights()[0]
        )


def test_a_replicate_is_what_its_seed_alone_gives(tiny_problem, tmp_path):
    def outer():
        return keras.optimizers.SGD(0.01)

    model = family(tiny_problem)
    model.compile(outer())
    model.fit(callbacks=[plan(tmp_path)], verbose=0)
    keras.utils.set_random_seed(5)
    alone = trainer(
        tiny_problem,
        student=policies.FeatureMLP(name="student"),
        teachers=[policies.Adam(0.02, name="adam")],
        unroll=3,
        tasks=1,
        seed=5,
    )
    alone.compile(outer())
    alone.fit(callbacks=[plan(tmp_path / "alone", seed=5)], verbose=0)
    last = strategies.RunDirectory(tmp_path / "alone").rows()[-1]
    name = "val_log_loss_replicate_1"
    both = strategies.RunDirectory(tmp_path).rows()[-1].figures[name]
    np.testing.assert_allclose(both, last.validation, rtol=1e-4)


def test_a_plan_that_waits_for_validation_is_refused(tiny_problem):
    with pytest.raises(ValueError, match="validation of one student"):
        family(tiny_problem).fit(callbacks=[strategies.Curriculum()])


def test_drawn_depths_are_between_the_shortest_and_the_deepest(
    tiny_problem, tmp_path
):
    model = trainer(tiny_problem, tasks=1)
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(model.episodes.depth)

    strategy = plan(tmp_path, depth=[2, 5], shortest_depth=3, num_periods=2)
    model.fit(callbacks=[strategy, Look()], verbose=0)
    assert seen == [(2, 2), (3, 5)]
