"""What is not finite is counted, kept out and lost without a trace."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import policies
from keras_l2o import problems
from tests.conftest import tiny_model
from tests.training.helpers import everything_finite
from tests.training.helpers import trainer
from tests.training.helpers import weights

pytestmark = pytest.mark.backend


def test_a_nan_in_the_data_is_counted_and_training_improves(tiny_data):
    x, y = tiny_data
    x = x.copy()
    x[5, 2, 2] = np.nan
    problem = problems.Problem(tiny_model, (x, y), batch_size=16)
    model = trainer(problem)
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    history = model.fit(epochs=2, steps_per_epoch=6, verbose=0).history
    assert sum(history["replaced_batches"]) > 0
    assert history["loss"][-1] < history["loss"][0]
    assert everything_finite(model)
    assert np.count_nonzero(weights(model)) > 0


def test_a_poisoned_students_weight_is_never_trained_on(bench):
    model = bench.model()
    poisoned = model.student.get_weights()
    poisoned[0][0, 0] = np.nan
    model.student.set_weights(poisoned)
    history = model.fit(
        epochs=1, steps_per_epoch=2, verbose=0, validation_data=False
    ).history
    assert history["skipped_updates"] == [2.0]
    assert history["diverged_tasks"] == [4.0]
    for old, new in zip(poisoned, model.student.get_weights()):
        np.testing.assert_array_equal(old, new)  # not zeroed, no more NaN
    carried = model.state.carries
    assert all(
        np.isfinite(ops.convert_to_numpy(leaf)).all()
        for leaf in keras.tree.flatten(carried)
    )


class Poisoned:
    """Batches whose labels make one task's loss not finite."""

    def __init__(self, data, bad_calls):
        self.data, self.calls, self.bad_calls = data, 0, bad_calls

    def batches(self, rng, steps):
        x, y = self.data
        index = rng.integers(0, len(x), (steps, 16))
        self.calls += 1
        batch = x[index].copy()
        if self.calls in self.bad_calls:
            batch *= 1e30  # finite, but the network's products are not
        return batch, y[index]


def squares():
    return keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Flatten(),
         keras.layers.Dense(3), keras.layers.Lambda(lambda z: z * z)]
    )  # fmt: skip


def test_a_diverged_task_is_counted_reset_and_not_averaged_in(tiny_data):
    problem = problems.Problem(squares, Poisoned(tiny_data, {3, 4}))
    model = trainer(problem, depth=2)
    history = model.fit(
        epochs=4, steps_per_epoch=1, verbose=0, validation_data=False
    ).history
    # calls 3 and 4 make both tasks of the second outer step
    assert history["diverged_tasks"] == [0.0, 2.0, 0.0, 0.0]
    assert history["skipped_updates"] == [0.0, 1.0, 0.0, 0.0]
    assert np.isfinite(history["loss"]).all()
    assert everything_finite(model)


def test_one_diverged_task_leaves_the_others_update(tiny_data):
    problem = problems.Problem(squares, Poisoned(tiny_data, {2}))
    model = trainer(problem)
    before = weights(model)
    history = model.fit(
        epochs=1, steps_per_epoch=1, verbose=0, validation_data=False
    ).history
    assert history["diverged_tasks"] == [1.0]
    assert history["skipped_updates"] == [0.0]
    assert everything_finite(model)
    assert (weights(model) != before).any()


def test_a_teacher_that_diverges_is_counted_and_left_out(tiny_data):
    model = trainer(
        problems.Problem(tiny_model, tiny_data, batch_size=16),
        teachers={"good": policies.Adam(0.02), "bad": policies.SGD(1e38)},
    )
    history = model.fit(epochs=2, steps_per_epoch=2, verbose=0).history
    assert history["diverged_teachers"] == [4.0, 4.0]
    assert history["diverged_tasks"] == [0.0, 0.0]
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(history["val_good_log_loss"]).all()
    assert np.isinf(history["val_bad_log_loss"]).all()
    carried = model.state.carries
    assert all(
        np.isfinite(ops.convert_to_numpy(leaf)).all()
        for leaf in keras.tree.flatten(carried)
    )


def test_an_infinite_outer_gradient_is_skipped_and_changes_nothing(
    tiny_problem,
):
    def explosive(log_distances, axis):
        # finite in value, infinite in slope
        value = ops.sqrt(ops.max(log_distances * 0.0, axis=axis))
        return value

    model = trainer(tiny_problem, reduce=explosive)
    model.compile()
    before = weights(model)
    moments = [np.array(v) for v in model.optimizer.variables]
    history = model.fit(
        epochs=1, steps_per_epoch=3, verbose=0, validation_data=False
    ).history
    assert history["skipped_updates"] == [3.0]
    np.testing.assert_array_equal(weights(model), before)
    for old, variable in zip(moments, model.optimizer.variables):
        np.testing.assert_array_equal(old, np.array(variable))
