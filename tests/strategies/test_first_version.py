"""What the first version has left: its runs go on, its fits come out again.

The runs were killed after two periods, on each backend; `expected.csv` is the
summary of the same run that was not. `fits-*.json` has the figures of fits
that were made before the outer loop became a function of its state.
"""

import csv
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import perturbations
from keras_l2o import policies
from keras_l2o import strategies
from tests.conftest import tiny_model

pytestmark = pytest.mark.backend
HERE = pathlib.Path(__file__).parent / "first_version"
BACKEND = keras.backend.backend()


@pytest.fixture
def tiny_problem(tiny_data):
    return keras_l2o.problems.Problem(tiny_model, tiny_data, batch_size=16)


def single(problem, **options):
    keras.utils.set_random_seed(3)
    return keras_l2o.MetaTrainer(
        policies.RNNProp(units=(4,), name="student", odd=False),
        [policies.Adam(0.02, name="adam"), policies.SGD(0.1, name="sgd")],
        problem,
        unroll=4,
        depth=(1, 2),
        tasks=2,
        seed=3,
        **options,
    )


def family(problem):
    keras.utils.set_random_seed(4)
    return keras_l2o.MetaTrainer(
        policies.FeatureMLP(name="student", odd=False),
        [policies.Adam(0.02, name="adam")],
        problem,
        unroll=3,
        tasks=1,
        seed=4,
        replicates=2,
    )


def curriculum(directory):
    return strategies.Curriculum(
        directory,
        num_stages=2,
        num_periods=2,
        num_chances=1,
        unroll=3,
        depth=(1, 2, 2),
        episodes=1,
        seed=3,
    )


def simple(directory):
    return strategies.Simple(
        directory,
        num_periods=4,
        unroll=3,
        depth=3,
        episodes=1,
        shortest_depth=1,
        validation_depth=2,
        seed=4,
    )


def figures(path):
    with open(path) as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["seconds"], row["sha256"]
    return rows


@pytest.mark.parametrize(
    ("name", "made", "plan"),
    [("single", single, curriculum), ("family", family, simple)],
)
def test_a_run_that_was_killed_goes_on(
    tiny_problem, tmp_path, name, made, plan
):
    if not (HERE / f"{name}-{BACKEND}").exists():
        pytest.skip("the first version had replicates on JAX alone")
    directory = tmp_path / "run"
    shutil.copytree(HERE / f"{name}-{BACKEND}", directory)
    before = figures(directory / "summary.csv")
    model = made(tiny_problem)
    model.compile(keras.optimizers.Adam(1e-2))
    noise = perturbations.Gaussian(1e-3, seed=7)
    model.fit(callbacks=[plan(directory), noise], verbose=0)
    rows = figures(directory / "summary.csv")
    expected = figures(HERE / f"{name}-{BACKEND}" / "expected.csv")
    assert rows[: len(before)] == before
    assert len(rows) == len(expected) > len(before)
    for own, first in zip(rows, expected):
        assert own.keys() == first.keys()
        for key, text in first.items():
            try:
                due = pytest.approx(float(text), rel=2e-4, abs=1e-5)
            except ValueError:
                assert own[key] == text
            else:
                assert float(own[key]) == due, key


@pytest.mark.parametrize("reduce", ["max", "mean"])
def test_the_same_seeds_give_the_same_student(tiny_problem, reduce):
    expected = json.loads((HERE / f"fits-{BACKEND}.json").read_text())[reduce]
    model = single(tiny_problem, reduce=reduce, warmup=1)
    model.compile(keras.optimizers.Adam(1e-2))
    attack = perturbations.PGD(1e-3, steps=1)
    history = model.fit(
        epochs=3, steps_per_epoch=3, verbose=0, callbacks=[attack]
    ).history
    weights = model.student.get_weights()
    for found, due in [
        ([np.linalg.norm(weight) for weight in weights], expected["norms"]),
        ([weight.ravel()[0] for weight in weights], expected["first"]),
        (history["loss"], expected["loss"]),
        (history["val_log_loss"], expected["val_log_loss"]),
    ]:
        np.testing.assert_allclose(found, due, rtol=2e-4, atol=1e-6)
