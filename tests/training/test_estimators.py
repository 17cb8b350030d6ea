"""Each way to estimate the outer gradient, beside what it should come to."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_l2o
from keras_l2o import perturbations
from keras_l2o import policies
from keras_l2o.training import estimators
from tests.training.helpers import everything_finite
from tests.training.helpers import trainer
from tests.training.helpers import weights

pytestmark = pytest.mark.backend

ALL = {
    "truncated_backprop": dict(),
    "full_unroll": dict(),
    "pes": dict(pairs=2, seed=1),
    "nres": dict(pairs=2, seed=1),
}


@pytest.mark.parametrize("name", sorted(ALL))
def test_each_takes_perturbations_imitation_and_objectives(tiny_problem, name):
    model = trainer(
        tiny_problem,
        unroll=2,
        estimator=estimators.get(name, **ALL[name]),
        objective=keras_l2o.training.Objective(
            "mean", step_weights="final", stop_above=50.0
        ),
        log_losses=True,
        warmup=1,
    )
    model.compile(keras.optimizers.Adam(1e-2))
    before = weights(model)
    history = model.fit(
        epochs=2,
        steps_per_epoch=3,
        verbose=0,
        callbacks=[
            perturbations.PGD(1e-3, steps=1),
            perturbations.Gaussian(1e-3, seed=1),
            perturbations.InputNoise(1e-3, seed=2),
        ],
    ).history
    assert everything_finite(model)
    assert (weights(model) != before).any()
    assert history["skipped_updates"] == [0.0, 0.0]
    assert history["diverged_tasks"] == [0.0, 0.0]
    assert all(np.isfinite(history["loss"]))


class Rate(policies.Policy):
    """Gradient descent whose log rate is the one weight that is trained."""

    def build(self, input_shape=None):
        self.rate = self.add_weight(
            shape=(), initializer="zeros", dtype="float32", name="rate"
        )
        self.built = True

    def initial_state(self, parameters):
        return policies.PolicyState(ops.zeros((), "int32"), ())

    def update(self, gradients, parameters, state, training=False):
        rate = 0.1 * ops.exp(ops.convert_to_tensor(self.rate))
        updates = [rate * gradient for gradient in gradients]
        return updates, state._replace(step=state.step + 1)


class Point(keras.layers.Layer):
    """The loss `curvature / 2 * x**2` of one coordinate, from 1 on."""

    def build(self, input_shape):
        self.x = self.add_weight(shape=(1,), initializer="ones", name="x")

    def call(self, inputs):
        return ops.broadcast_to(
            0.5 * ops.sum(ops.square(self.x)), ops.shape(inputs)[:1]
        )


def quadratic():
    inputs = np.zeros((8, 1), "float32")
    return keras_l2o.problems.Problem(
        lambda: keras.Sequential([keras.Input((1,)), Point()]),
        (inputs, inputs[:, 0]),
        lambda y, value: ops.mean(value),
        batch_size=4,
    )


UNROLL, DEPTH = 2, 3


def loss(log_rate, steps=UNROLL * DEPTH):
    """Mean loss before each of the steps: what the objective comes to."""
    shrink = 1.0 - 0.1 * np.exp(log_rate)
    return np.mean([0.5 * shrink ** (2 * i) for i in range(steps)])


def slope(function, at, width=1e-4):
    return (function(at + width) - function(at - width)) / (2 * width)


def gradients(estimator, draws, log_rate=0.0):
    """Gradients of an episode's outer steps, one a draw: `(steps, draws)`.

    They are those of the outer loop itself, whose mean is the episode's.

    The outer optimizer is gradient descent at a rate of zero, so that all of
    them are at the same weight.
    """
    student = Rate()
    student.build()
    student.set_weights([np.float32(log_rate)])
    model = keras_l2o.MetaTrainer(
        student,
        [],
        quadratic(),
        objective=keras_l2o.training.Objective(kind="ratio", relative=False),
        unroll=UNROLL,
        depth=(DEPTH, DEPTH),
        tasks=draws,
        validation_tasks=1,
        parameter_scale_spread=0.0,
        estimator=estimator,
    )
    model.compile(keras.optimizers.SGD(0.0), gradient_clipping=None)
    loop, state = model.outer_loop, model.state
    steps = 1 if estimator.whole_episodes else DEPTH
    found = []
    for step in range(steps):
        # One task's data for all of them: they differ by what is drawn.
        data = keras.tree.map_structure(
            lambda leaf: ops.convert_to_tensor(np.repeat(leaf, draws, axis=0)),
            model.episodes.changed(tasks=1).at(step),
        )
        state, (results,) = loop.estimates(state, data)
        found.append(ops.convert_to_numpy(results.gradients[0]))
    return np.array(found)


def test_a_full_unroll_gives_the_exact_gradient():
    found = gradients(estimators.FullUnroll(), draws=2)
    np.testing.assert_allclose(found, slope(loss, 0.0), rtol=1e-4)


def test_truncation_is_biased_by_what_it_leaves_out():
    """Each truncation starts where the rate has taken it, as a constant."""
    found = gradients(estimators.TruncatedBackprop(), draws=2).mean(axis=0)
    shrink = 0.9

    def cut(log_rate):
        inside = loss(log_rate, UNROLL)
        starts = [shrink ** (2 * UNROLL * i) for i in range(DEPTH)]
        return np.mean([start * inside for start in starts])

    np.testing.assert_allclose(found, slope(cut, 0.0), rtol=1e-4)
    assert abs(found[0] / slope(loss, 0.0)) < 0.5  # most of it is left out


def particles(noise, reused, log_rate=0.0, stddev=0.1):
    """The papers' estimate for a pair's noise, one entry a truncation."""
    total, found = 0.0, []
    x = {1: 1.0, -1: 1.0}
    for drawn in noise:
        drawn = noise[0] if reused else drawn
        total = drawn if reused else total + drawn
        losses = {1: 0.0, -1: 0.0}
        for sign in x:
            shrink = 1.0 - 0.1 * np.exp(log_rate + sign * drawn)
            for _ in range(UNROLL):
                losses[sign] += 0.5 * x[sign] ** 2 / UNROLL
                x[sign] *= shrink
        found.append(total * (losses[1] - losses[-1]) / (2 * stddev**2))
    return np.mean(found)


@pytest.mark.parametrize("name", ["pes", "nres"])
def test_evolution_strategies_are_their_papers_equation(name, monkeypatch):
    noise = 0.1 * np.random.default_rng(0).normal(size=(DEPTH, 2, 3))
    given = iter(noise.astype("float32"))  # by truncation: (tasks, pairs)
    estimator = estimators.get(name, pairs=3, stddev=0.1)
    monkeypatch.setattr(
        estimator,
        "draw",
        lambda weights, tasks: [ops.convert_to_tensor(next(given))],
    )
    found = gradients(estimator, draws=2).mean(axis=0)
    expected = [
        np.mean([particles(noise[:, i, j], name == "nres") for j in range(3)])
        for i in range(2)
    ]
    np.testing.assert_allclose(found, expected, rtol=2e-3)


needs_jax = pytest.mark.skipif(
    keras.backend.backend() != "jax",
    reason="a thousand draws side by side are quick on JAX alone",
)


@needs_jax
def test_evolution_strategies_are_right_in_the_mean_over_1000_draws():
    exact = slope(loss, 0.0)
    truncated = gradients(estimators.TruncatedBackprop(), 1).mean()
    for name in ("pes", "nres"):
        estimator = estimators.get(name, pairs=1, stddev=0.1, seed=3)
        found = gradients(estimator, 1000).mean(axis=0)
        error = found.std() / np.sqrt(1000)
        # Noise smooths the loss, which moves its slope by about a percent.
        assert abs(found.mean() - exact) < 3.5 * error + 0.02 * abs(exact)
        assert abs(found.mean() - truncated) > 5.0 * error


@needs_jax
def test_an_outer_step_varies_least_with_reused_noise():
    """By Cauchy and Schwarz, where earlier noise has not all one effect."""
    spread = {}
    for name in ("pes", "nres"):
        estimator = estimators.get(name, pairs=1, stddev=0.1, seed=3)
        spread[name] = gradients(estimator, 10_000).std(axis=1)
    assert spread["nres"][-1] < 0.98 * spread["pes"][-1]
    assert spread["nres"][0] == pytest.approx(spread["pes"][0], rel=0.05)


def test_a_full_unroll_masks_what_lies_beyond_each_tasks_horizon():
    estimator = estimators.FullUnroll()
    student = Rate()
    student.build()
    model = keras_l2o.MetaTrainer(
        student,
        [],
        quadratic(),
        objective=keras_l2o.training.Objective(kind="ratio", relative=False),
        unroll=UNROLL,
        depth=(1, DEPTH),
        tasks=8,
        validation_tasks=1,
        parameter_scale_spread=0.0,
        estimator=estimator,
    )
    model.compile(keras.optimizers.SGD(0.0))
    data = model.episodes.at(0)
    horizons = data[0]["horizon"]
    assert len(set(horizons)) > 1
    assert horizons.min() >= UNROLL
    assert horizons.max() <= UNROLL * DEPTH
    data = keras.tree.map_structure(ops.convert_to_tensor, data)
    _, (results,) = model.outer_loop.estimates(model.state, data)
    expected = [
        slope(lambda at, h=horizon: loss(at, h), 0.0) for horizon in horizons
    ]
    np.testing.assert_allclose(
        ops.convert_to_numpy(results.gradients[0]), expected, rtol=1e-4
    )


def test_a_wrong_estimator_is_named(tiny_problem):
    with pytest.raises(ValueError, match="Did you mean 'pes'"):
        trainer(tiny_problem, estimator="pess")


class Watched(keras_l2o.training.Objective):
    """Runs the teachers wherever there is a gradient, to no effect."""

    imitates = True


@pytest.mark.parametrize("skips", [True, False])
def test_a_full_unroll_leaves_out_what_changes_no_gradient(
    tiny_problem, monkeypatch, skips
):
    """Teachers that nobody imitates, and truncations after the horizon."""

    def result(objective):
        keras.utils.set_random_seed(0)
        model = trainer(
            tiny_problem,
            unroll=2,
            depth=(1, 4),
            tasks=1,
            estimator="full_unroll",
            synchronize_teachers=False,
            objective=objective(mode="meta", floor=0.1, step_weights="late"),
            log_losses=True,
            seed=2,
        )
        model.compile(
            keras.optimizers.SGD(0.0), balance=keras_l2o.training.Balance(1, 3)
        )
        data = model.episodes.at(0)
        assert data[0]["horizon"][0] <= 6
        data = keras.tree.map_structure(ops.convert_to_tensor, data)
        _, (found,) = model.outer_loop.estimates(model.state, data)
        return found.gradients, found.figures.losses, found.figures.leads()

    plain = result(Watched)
    if not skips:
        monkeypatch.setattr(
            keras_l2o.backend,
            "only_if",
            lambda condition, function, otherwise: keras_l2o.numerics.select(
                condition, function(), otherwise
            ),
        )
    for one, other in zip(
        keras.tree.flatten(plain),
        keras.tree.flatten(result(keras_l2o.training.Objective)),
    ):
        np.testing.assert_allclose(
            ops.convert_to_numpy(one),
            ops.convert_to_numpy(other),
            rtol=2e-5,
            atol=1e-7,
        )


def test_an_objective_of_ones_own_may_imitate():
    class Mine(keras_l2o.training.Objective):
        def __call__(self, *arguments):
            return super().__call__(*arguments)

    assert Mine(mode="meta").imitates
    assert keras_l2o.training.Objective().imitates
    assert not keras_l2o.training.Objective(mode="meta").imitates
