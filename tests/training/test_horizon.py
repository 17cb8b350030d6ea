import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import policies
from keras_l2o import problems
from keras_l2o import training
from keras_l2o.training import inner_loop

pytestmark = pytest.mark.backend


@pytest.fixture(scope="module")
def quadratic():
    return problems.get("quadratic_10")


def test_an_episode_tells_how_many_inner_steps_it_has(quadratic):
    episodes = training.Episodes([quadratic], tasks=1, unroll=5, depth=(1, 4))
    told, begun = [], []
    for step in range(40):
        (data,) = episodes.at(step)
        if data["reset"][0]:
            begun.append(step)
        told.append(int(data["total_steps"][0]))
    lengths = 5 * np.diff(begun)
    assert [told[step] for step in begun[:-1]] == lengths.tolist()
    assert len(set(lengths.tolist())) > 1


def test_a_whole_episode_tells_its_horizon(quadratic):
    episodes = training.Episodes(
        [quadratic], tasks=3, unroll=5, depth=(1, 4), whole=True
    )
    (data,) = episodes.at(2)
    np.testing.assert_array_equal(data["total_steps"], data["horizon"])


def test_a_share_of_horizons_is_hidden_and_nothing_else_changes(quadratic):
    def at(hidden):
        episodes = training.Episodes(
            [quadratic], 64, 5, (1, 4), whole=True, hidden_horizon=hidden
        )
        return episodes.at(0)[0]

    plain, some = at(0.0), at(0.25)
    share = np.mean(some["total_steps"] == 0)
    assert 0.1 < share < 0.4
    np.testing.assert_array_equal(plain["horizon"], some["horizon"])
    np.testing.assert_array_equal(plain["parameters"], some["parameters"])
    with pytest.raises(ValueError, match="`hidden_horizon` must be a number"):
        at(1.5)


class Progress(policies.Policy):
    """Its update is how far the training is."""

    reads_horizon = True

    def initial_state(self, parameters):
        nothing = ops.zeros((), "int32")
        return policies.PolicyState(
            nothing,
            ((),) * len(parameters),
            policies.Horizon(nothing, nothing, nothing),
        )

    def with_horizon(self, state, horizon):
        return state._replace(shared=horizon)

    def update(self, gradients, parameters, state, training=False):
        first, total, _ = (ops.cast(x, "float32") for x in state.shared)
        step = ops.cast(state.step, "float32")
        progress = (step - first) / ops.maximum(total, 1.0)
        return (
            [progress + 0.0 * gradient for gradient in gradients],
            state._replace(step=state.step + 1),
        )


@pytest.mark.parametrize("estimator", ["truncated_backprop", "full_unroll"])
def test_a_policy_learns_how_far_its_episode_is(quadratic, estimator):
    """The students' parameters after an episode say what they were told."""
    student = policies.SGD(1e-20, trainable_hyperparameters=["learning_rate"])
    trainer = training.MetaTrainer(
        student,
        [Progress(name="progress")],
        [quadratic],
        unroll=4,
        depth=1,
        tasks=1,
        parameter_scale_spread=0.0,
        synchronize_teachers=False,
        estimator=estimator,
    )
    seen = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(
            logs["imitation_loss"]
        )
    )
    trainer.fit(
        epochs=1, steps_per_epoch=1, validation_data=False, callbacks=[note],
        verbose=0,
    )  # fmt: skip
    # The student stays. The teacher is off it by the sum of what it was told.
    off = np.cumsum([0.0, 0.25, 0.5, 0.75])
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(np.square(off), 1e-30))
    np.testing.assert_allclose(seen[0], np.mean(logs), rtol=1e-4)


@pytest.mark.parametrize(("told", "epoch_steps"), [(7, 6), (0, 0)])
def test_an_episode_tells_when_examples_come_again(told, epoch_steps):
    data = problems.load_dataset("digits")
    data = data._replace(x_train=data.x_train[:50], y_train=data.y_train[:50])
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    problem = problems.Problem(model, data, batch_size=8)
    begun = inner_loop.start(
        Progress(name="progress"),
        problem,
        ops.zeros((problem.size,)),
        (),
        ops.convert_to_tensor(told, "int32"),
    )
    assert int(begun.state.shared.epoch_steps) == epoch_steps


def test_a_pool_passes_the_horizon_on():
    pool = policies.RandomChoice([Progress(name="progress")])
    assert pool.reads_horizon
    assert not policies.RandomChoice([policies.SGD(0.1)]).reads_horizon
    zeros, ones = [ops.zeros((2,))], [ops.ones((2,))]
    state = pool.initial_state(zeros)
    horizon = policies.Horizon(ops.ones((), "int32"), ops.ones((), "int32") * 4)
    state = pool.with_horizon(state, horizon)
    state = state._replace(step=ops.ones((), "int32") * 3)
    [update], _ = pool.update(ones, zeros, state)
    np.testing.assert_allclose(ops.convert_to_numpy(update), 0.5)
