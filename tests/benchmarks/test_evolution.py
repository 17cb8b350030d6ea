"""The search for the numbers that `General` starts at, on one problem."""

from typing import NamedTuple

import keras
import numpy as np
import pytest

pytestmark = [
    pytest.mark.backend,
    pytest.mark.skipif(
        keras.backend.backend() != "jax", reason="it runs on JAX"
    ),
]


@pytest.fixture(scope="module")
def parts():
    from benchmarks.evolution import __main__ as search
    from benchmarks.evolution import rules
    from benchmarks.evolution import runs
    from benchmarks.evolution.numbers import Numbers

    return search, rules, runs, Numbers


def test_a_setting_of_zeros_is_where_general_starts(parts):
    _, rules, _, Numbers = parts
    policy, weights = rules.general()
    numbers = Numbers(policy)
    before = policy.get_weights()
    found, factor = weights(np.zeros(len(numbers)))
    assert factor == 1.0
    for one, other in zip(found, before):
        np.testing.assert_array_equal(one, other)
    numbers.assign(np.ones(len(numbers)))
    changed = sum((a != b).sum() for a, b in zip(before, policy.get_weights()))
    assert changed == len(numbers)
    # and no number is counted twice
    assert len({place[:2] for place in numbers.places}) == len(numbers)


def test_trainings_side_by_side_are_those_of_the_rule(parts):
    _, rules, runs, _ = parts
    policy, weights = rules.general()
    made = runs.Runs("tiny_quadratic", policy, weights)
    size = len(runs_numbers := rules.Numbers(policy))
    settings = np.zeros((2, size))
    settings[1, [p[1:2] == ((0, 0),) for p in runs_numbers.places].index(1)] = 1
    short, long = (made(settings, 0, horizon) for horizon in (5, 30))
    assert short.judged.shape == (2,)
    assert (long.judged < short.judged).all()
    assert (long.judged < long.first).all()
    # The one with the larger rate of matrices has the same vectors.
    np.testing.assert_allclose(long.judged[0], long.judged[1], rtol=1e-5)

    reference = runs.Runs("tiny_quadratic", *rules.reference())
    losses = reference([[0.0], [0.03]], 0, 30)
    np.testing.assert_allclose(losses.end[0], losses.first[0], rtol=0.2)
    assert losses.judged[1] < losses.judged[0]


class Held(NamedTuple):
    """Data whose first batches are these."""

    arrays: tuple

    def batches(self, rng, steps):
        assert all(len(array) == steps for array in self.arrays)
        return self.arrays


def test_every_other_seed_sees_few_examples_again_and_again(parts):
    _, rules, runs, _ = parts
    made = runs.Runs("tiny_factorization", *rules.reference())
    for seed, few in ((0, False), (1, True)):
        assert runs.finite(seed) == few
        _, _, batches, _, epoch_steps = made._drawn(seed)
        assert (epoch_steps > 0) == few
        left, right = (np.asarray(leaf) for leaf in batches[0][:2])
        size = left.shape[1]
        ratings = left.astype("int64").reshape(-1) * 10**6
        ratings += right.astype("int64").reshape(-1)
        found = len(np.unique(ratings[: 256 * size])), len(np.unique(ratings))
        assert (found[0] == found[1]) == few
    # Each example comes once in an epoch, with what belongs to it.
    examples = np.arange(12).reshape(3, 4)
    few = runs.Few(Held((examples[..., None], -examples)), 3)
    x, y = few.batches(np.random.default_rng(0), 8)
    np.testing.assert_array_equal(x[..., 0], -y)
    assert x.shape == (8, 4, 1)
    for start in (0, 3):
        epoch = np.sort(x[start : start + 3].reshape(-1))
        np.testing.assert_array_equal(epoch, np.arange(12))


def test_scores_are_bounded_and_what_diverges_is_as_bad_as_can_be(parts):
    search, _, runs, _ = parts
    reference = runs.Losses(np.float64(0.5), np.float64(0.5), np.float64(2.0))
    own = runs.Losses(
        np.array([0.5, 0.0, np.nan, 1.0]),
        np.array([0.5, 0.0, 0.5, 0.5]),
        np.full(4, 2.0),
    )
    found = search.scores(own, reference, False)
    half = 0.5 * np.log(1.006 / 0.506)
    np.testing.assert_allclose(found, [0.0, -0.4, 2.5, half])
    # The end of the training says nothing of what is learned by heart.
    found = search.scores(own._replace(end=np.zeros(4)), reference, True)
    np.testing.assert_allclose(found, [0.0, -0.4, 2.5, 2.0 * half])
    for job, counts in (
        (search.Job("tiny_few_rows", 0, 100), 2.0),
        (search.Job("tiny_few_rows", 1, 100), 2.0),
        (search.Job("tiny_perceptron", 0, 100), 1.0),
        (search.Job("tiny_perceptron", 1, 100), 1.0),
    ):
        assert search.weight(job) == counts
        found = search.scores_of(
            job, own._replace(end=np.zeros(4)), {job: reference}
        )
        fresh_only = counts > 1.0 or job.seed == 1
        assert (found[3] == 2.0 * half) == fresh_only
    rows = np.array([[0.0, 1.0], [0.2, 0.0], [0.0, 0.0], [0.0, 0.0]])
    found = search.value(rows, np.ones(4))
    np.testing.assert_allclose(found, [0.05 + 0.1, 0.25 + 0.5])
    found = search.value(rows, np.array([4.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(found, [0.2 / 7 + 0.1, 4 / 7 + 0.5])


def test_a_generation_has_jobs_for_so_many_seconds(parts):
    search, *_ = parts
    cost = {"a": 0.001, "b": 0.01, "c": 0.5}
    rng = np.random.default_rng(0)
    for _ in range(20):
        jobs = search.drawn(rng, list(cost), 10.0, cost)
        spent = sum(cost[job.problem] * job.horizon for job in jobs)
        assert 0.0 < spent <= 10.0
        assert all(job.problem != "c" for job in jobs)
        assert len({job.problem for job in jobs}) == len(jobs)


def test_what_is_found_is_judged_by_held_out_images(parts, monkeypatch):
    _, rules, _, Numbers = parts
    from benchmarks.evolution import validation

    monkeypatch.setattr(validation, "TRAINED", (("mlp_train", 300),))
    monkeypatch.setattr(validation, "STEPS", (20,))
    monkeypatch.setattr(validation, "RUNS", 1)
    policies = []
    for off in (0.0, -6.0):
        policy, _ = rules.general()
        numbers = Numbers(policy)
        index, place, spread = numbers.places[0]
        assert numbers.variables[index] is policy.rates.linear
        assert place == (0, 0)
        numbers.assign(np.eye(len(numbers))[0] * off / spread)
        policies.append(policy)
    good, slow = validation.validate(policies)
    assert good + 0.1 < slow < np.log(2.5)
