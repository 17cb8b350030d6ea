"""Pools: what the network sees, how it mixes, and what its state shows."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_l2o
from keras_l2o import backend
from keras_l2o import policies
from tests.policies.helpers import Cells
from tests.policies.helpers import numpy
from tests.policies.helpers import randomize

pytestmark = pytest.mark.backend

SHAPES = [(4,), (2, 3), (2, 2, 1, 3)]


def gradients(step):
    rng = np.random.default_rng(step)
    return [rng.normal(size=shape).astype("float32") for shape in SHAPES]


def parameters(seed=77):
    rng = np.random.default_rng(seed)
    return [
        ops.convert_to_tensor(rng.normal(size=shape).astype("float32"))
        for shape in SHAPES
    ]


def run(policy, steps, training=False, seed=77):
    """Flat updates of each step, and the last state."""
    if not policy.built:
        policy.build(None)
    state, result = policy.initial_state(parameters(seed)), []
    for step in range(steps):
        updates, state = policy.update(
            [ops.convert_to_tensor(g) for g in gradients(step)],
            parameters(seed),
            state,
            training,
        )
        result.append(np.concatenate([numpy(u).ravel() for u in updates]))
    return np.stack(result), state


def flat(step):
    return np.concatenate([g.ravel() for g in gradients(step)])


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def pool():
    return [policies.SGD(0.5), policies.SGD(-1.0)]


def expected(policy, steps):
    """Logits, rates' outputs and the pool's updates, step by step, NumPy."""
    weights = randomize(policy, scale=0.5)
    ranks = np.repeat(np.eye(3), [np.prod(s) for s in SHAPES], axis=0)
    cells = Cells(weights, (4, 3), len(ranks))
    for step in range(steps):
        updates = np.outer(flat(step), [0.5, -1.0])
        time = np.tile([1 / (1 + step / 4.0), step / 4.0], (len(ranks), 1))
        read = np.abs(updates) if policy.odd else updates
        output = cells.step(np.concatenate([read, time, ranks], 1))
        heads = weights[6:]
        yield (
            [
                output @ kernel + bias
                for kernel, bias in zip(heads[::2], heads[1::2])
            ],
            updates,
        )


@pytest.mark.parametrize("odd", [True, False])
def test_the_update_is_the_mix_that_the_network_says(odd):
    policy = policies.Choice(
        pool(), units=(4, 3), learning_rate=0.7, time_scale=4.0, odd=odd
    )
    reference = [
        0.7 * np.sum(softmax(logits) * updates, -1)
        for (logits,), updates in expected(policy, 4)
    ]
    np.testing.assert_allclose(run(policy, 4)[0], reference, 1e-4, 1e-5)


def test_learned_rates_multiply_each_members_update():
    policy = policies.Choice(
        pool(), units=(4, 3), time_scale=4.0, rate_scale=0.5
    )
    reference = [
        np.sum(softmax(logits) * np.exp(0.5 * np.tanh(rates)) * updates, -1)
        for (logits, rates), updates in expected(policy, 3)
    ]
    np.testing.assert_allclose(run(policy, 3)[0], reference, 1e-4, 1e-5)


def test_a_hard_choice_takes_the_likeliest_member_in_use():
    policy = policies.Choice(
        pool(), units=(4, 3), time_scale=4.0, hardness=10.0
    )
    reference = [
        np.take_along_axis(updates, logits.argmax(-1)[:, None], 1)[:, 0]
        for (logits,), updates in expected(policy, 3)
    ]
    np.testing.assert_allclose(run(policy, 3)[0], reference, 1e-4, 1e-5)


def hard(hardness=1e6, seed=0):
    """One member near +1, one near -1, whatever the gradient; logits equal."""
    policy = policies.Choice(
        [policies.SGD(1.0), policies.SGD(-1.0)],
        units=(2,),
        hardness=hardness,
        seed=seed,
    )
    policy.build(None)
    policy.set_weights([np.zeros_like(w) for w in policy.get_weights()])
    return policy


def signs(*arguments, **options):
    """Which of the two members each coordinate took at each step."""
    updates, _ = run(*arguments, **options)
    return updates / np.stack([flat(step) for step in range(len(updates))])


def test_a_hard_choice_samples_while_it_is_trained():
    taken = signs(hard(), 40, training=True)
    # All but near ties of the noise are one member's update alone.
    assert np.mean(np.abs(np.abs(taken) - 1.0) > 1e-3) < 0.01
    # 880 tosses of a fair coin, and no pattern from one step to the next.
    assert abs(np.mean(taken)) < 0.12
    assert abs(np.mean(taken[1:] * taken[:-1])) < 0.12
    assert (signs(hard(), 3) == 1.0).all()


def test_noise_differs_between_seeds_and_between_episodes():
    taken = signs(hard(), 8, training=True)
    np.testing.assert_array_equal(taken, signs(hard(), 8, training=True))
    for other in (
        signs(hard(seed=1), 8, training=True),
        signs(hard(), 8, training=True, seed=78),
    ):
        assert 0.3 < np.mean(np.abs(taken - other) > 1.0) < 0.7


def test_hardness_is_the_inverse_temperature():
    soft, _ = run(hard(hardness=0.1), 1, training=True)
    assert np.abs(soft[0] / flat(0)).max() < 0.6


@pytest.mark.parametrize(
    ("row", "moves"),
    [(2, [True, True]), (3, [False, True])],
    ids=["1/(1+t)", "t"],
)
def test_each_time_feature_reaches_the_network(row, moves):
    """The 2021 code overwrote the first with the second."""
    policy = hard(hardness=0.0)
    weights = policy.get_weights()
    weights[0][row, :] = 1000.0
    weights[3][:, 0] = 5.0
    policy.set_weights(weights)
    for steps, moved in zip((1, 2), moves):
        _, state = run(policy, steps)
        for mean in policy.pool_weights(state):
            assert (numpy(mean)[0] > 0.6) == moved


def test_a_coordinate_reads_its_tensors_rank():
    policy = hard(hardness=0.0)
    weights = policy.get_weights()
    weights[0][6, :] = 3.0  # rank 3 and more into the LSTM's gates
    weights[3][:, 0] = 5.0
    policy.set_weights(weights)
    _, state = run(policy, 1)
    means = [numpy(w) for w in policy.pool_weights(state)]
    np.testing.assert_allclose(means[:2], 0.5, 1e-6)
    assert means[2][0] > 0.9


def test_the_state_shows_each_tensors_mean_weights():
    policy = policies.Choice(pool(), units=(4, 3), time_scale=4.0)
    *_, ((logits,), _) = expected(policy, 3)
    _, state = run(policy, 3)
    ends = np.cumsum([np.prod(s) for s in SHAPES])[:-1]
    for shown, weights in zip(
        policy.pool_weights(state), np.split(softmax(logits), ends)
    ):
        np.testing.assert_allclose(numpy(shown), weights.mean(0), 1e-4)


def test_the_weights_of_a_training_are_read_from_the_optimizer():
    policy = policies.Choice([policies.Adam(0.1), policies.SGD(0.1)])
    optimizer = keras_l2o.LearnedOptimizer(policy)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(optimizer=optimizer, loss="mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    shown = policy.pool_weights(optimizer.policy_state)
    assert len(shown) == 2
    for weights in shown:
        weights = numpy(weights)
        assert weights.shape == (2,)
        assert weights[0] != 0.5
        np.testing.assert_allclose(weights.sum(), 1.0, 1e-5)


def test_members_weights_are_trained_along():
    member = policies.Adam(0.1, trainable_hyperparameters=["learning_rate"])
    policy = policies.Choice([member, policies.SGD(0.1)], units=(2,))
    policy.build(None)
    assert any(v is member.weights[0] for v in policy.trainable_variables)

    def total(variables):
        mapping = list(zip(policy.trainable_variables, variables))
        with keras.StatelessScope(state_mapping=mapping):
            state = policy.initial_state(parameters())
            for _ in range(2):  # at first there is no hidden state
                updates, state = policy.update(
                    parameters(1), parameters(), state
                )
        return ops.sum(ops.abs(updates[0])), ()

    _, found = backend.value_and_grad(total)(
        [backend.read(v) for v in policy.trainable_variables]
    )
    assert all(np.abs(numpy(gradient)).max() > 0.0 for gradient in found)


def test_members_of_one_name_are_told_apart():
    policy = policies.Choice(
        [policies.SGD(rate, name="step") for rate in (0.1, 0.2)]
    )
    assert policy.pool_names == ["step", "step_2"]


def test_a_random_choice_takes_every_member_equally_often():
    policy = policies.RandomChoice(
        [policies.SGD(1.0), policies.SGD(2.0), policies.SGD(3.0)]
    )
    taken = np.round(signs(policy, 60)).astype(int)
    np.testing.assert_allclose(signs(policy, 60), taken, 1e-3)
    counts = np.bincount(taken.ravel(), minlength=4)
    assert counts[0] == 0
    assert (np.abs(counts[1:] - taken.size / 3) < 60).all()  # 3.5 sigma


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": []}, "`pool` must be a list of at least one"),
        ({"pool": [3]}, "must be a"),
        ({"time_scale": 0.0}, "`time_scale` must be a finite number above 0"),
        (
            {"hardness": -1.0},
            "`hardness` must be a finite number of at least 0",
        ),
        (
            {"rate_scale": -1.0},
            "`rate_scale` must be a finite number of at least 0",
        ),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        policies.Choice(**{"pool": pool(), **options})
