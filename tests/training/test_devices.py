"""Meta-training on two devices, in a process of its own."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.backend

HEADER = """
import contextlib
import json
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import keras
import numpy as np
import keras_l2o
from keras_l2o import perturbations, policies, problems

def network():
    return keras.Sequential([
        keras.Input((6,)),
        keras.layers.Dense(4, activation="tanh"),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(2),
    ])

def run(scope, **options):
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 6)).astype("float32")
    problem = problems.Problem(
        network, (x, x[:, :2] * 2.0), loss="mse", batch_size=8)
    with scope():
        trainer = keras_l2o.MetaTrainer(
            policies.RNNProp(units=(3,)),
            [policies.Adam(0.02)],
            problem, unroll=3, depth=(1, 3), log_losses=True,
            **dict(dict(tasks=2, validation_tasks=2, validation_depth=2),
                   **options))
        trainer.compile(keras.optimizers.Adam(1e-2))
    history = trainer.fit(
        epochs=2, steps_per_epoch=2, verbose=0,
        callbacks=[
            perturbations.Gaussian(1e-2, seed=1),
            perturbations.InputNoise(1e-2, seed=2),
        ]).history
    weights = np.concatenate(
        [w.ravel() for w in trainer.student.get_weights()])
    carried = [
        keras.ops.convert_to_numpy(leaf).ravel().tolist()
        for leaf in keras.tree.flatten(trainer.state.carries[0])]
    return [history, weights.tolist(), carried]

def error(scope):
    try:
        run(scope, tasks=3)
    except ValueError as error:
        return str(error)
"""

MIRRORED = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
alone = run(contextlib.nullcontext)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
scope = strategy.scope
"""

PARALLEL = """
devices = keras.distribution.list_devices("cpu")
assert len(devices) == 2
alone = run(contextlib.nullcontext)
keras.distribution.set_distribution(
    keras.distribution.DataParallel(devices=devices))
scope = contextlib.nullcontext
"""

REPORT = """
print("RESULT" + json.dumps([alone, run(scope), error(scope)]))
"""


@pytest.fixture(scope="module")
def results():
    """What one device gives, what two give, and their error."""
    script = {"tensorflow": MIRRORED, "jax": PARALLEL}[keras.backend.backend()]
    made = subprocess.run(
        [sys.executable, "-c", HEADER + script + REPORT],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
    )
    assert made.returncode == 0, made.stderr[-3000:]
    (line,) = [
        row for row in made.stdout.splitlines() if row.startswith("RESULT")
    ]
    return json.loads(line.removeprefix("RESULT"))


if keras.backend.backend() != "torch":  # which runs on one device

    def test_two_devices_with_half_the_tasks_each_give_one_devices_results(
        results,
    ):
        (history, weights, carried), others, _ = results
        other_history, other_weights, other_carried = others
        assert set(other_history) == set(history)
        for key, values in history.items():
            assert other_history[key] == pytest.approx(values, rel=1e-4), key
        np.testing.assert_allclose(other_weights, weights, rtol=1e-3, atol=1e-5)
        for one, two in zip(carried, other_carried):
            np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)

    def test_tasks_that_the_devices_do_not_divide_are_named(results):
        assert "`tasks` must be a multiple of the number" in results[-1]
