"""Meta-training on two devices, as processes of their own."""

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
DEVICES, OPTIONS = {devices}, {options}
os.environ["XLA_FLAGS"] = (
    "--xla_force_host_platform_device_count=" + str(DEVICES))
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

def run(scope):
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
                   **OPTIONS))
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
        for leaf in keras.tree.flatten(trainer._carries[0].read())]
    print("RESULT" + json.dumps([history, weights.tolist(), carried]))
    return trainer
"""

MIRRORED = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * DEVICES)
strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(DEVICES)])
run(strategy.scope if DEVICES > 1 else contextlib.nullcontext)
"""

PARALLEL = """
if DEVICES > 1:
    devices = keras.distribution.list_devices("cpu")
    assert len(devices) == DEVICES
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=devices))
run(contextlib.nullcontext)
"""


def process(devices, **options):
    script = {"tensorflow": MIRRORED, "jax": PARALLEL}[keras.backend.backend()]
    code = HEADER.format(devices=devices, options=options) + script
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
    )


def results(devices):
    made = process(devices)
    assert made.returncode == 0, made.stderr[-3000:]
    (line,) = [
        row for row in made.stdout.splitlines() if row.startswith("RESULT")
    ]
    return json.loads(line.removeprefix("RESULT"))


if keras.backend.backend() != "torch":  # which runs on one device

    def test_two_devices_with_half_the_tasks_each_give_one_devices_results():
        history, weights, carried = results(1)
        other_history, other_weights, other_carried = results(2)
        assert set(other_history) == set(history)
        for key, values in history.items():
            assert other_history[key] == pytest.approx(values, rel=1e-4), key
        np.testing.assert_allclose(other_weights, weights, rtol=1e-3, atol=1e-5)
        for one, two in zip(carried, other_carried):
            np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)

    def test_tasks_that_the_devices_do_not_divide_are_named():
        made = process(2, tasks=3)
        assert made.returncode != 0
        assert "`tasks` must be a multiple of the number" in made.stderr
