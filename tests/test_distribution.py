"""Several devices, as processes of their own: devices are set at start."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.backend

HEADER = """
import os
import numpy as np
DEVICES = {devices}
{setup}
import keras
import keras_l2o
from keras_l2o import policies

def run(strategy_scope):
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 6)).astype("float32")
    y = (x[:, :2] * 2.0).astype("float32")
    with strategy_scope():
        model = keras.Sequential([
            keras.Input((6,)),
            keras.layers.Dense(8, activation="tanh", name="hidden"),
            keras.layers.Dense(2, name="out"),
        ])
        optimizer = keras_l2o.LearnedOptimizer(
            policies.RNNProp(units=(4,)), weight_decay=0.01,
            warmup_steps=2)
        model.compile(optimizer=optimizer, loss="mse")
    history = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    return model, optimizer, history.history["loss"]
"""

MIRRORED = """
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * DEVICES)
strategy = tf.distribute.MirroredStrategy(
    [f"CPU:{i}" for i in range(DEVICES)])
model, optimizer, losses = run(strategy.scope)
before = np.concatenate([w.ravel() for w in model.get_weights()])
x, y = np.ones((16, 6), "float32"), np.ones((16, 2), "float32")
x[3] = np.nan
model.fit(x, y, batch_size=16, verbose=0)
after = np.concatenate([w.ravel() for w in model.get_weights()])
assert int(optimizer.skipped_steps.numpy()) == 1
np.testing.assert_array_equal(before, after)
model.fit(x[4:], y[4:], batch_size=12, verbose=0)
assert not np.array_equal(model.get_weights()[0].ravel(), after[:48])
print("losses", *losses)
"""

PARALLEL = """
import contextlib
devices = keras.distribution.list_devices("cpu")
assert len(devices) == DEVICES
if KIND == "data":
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=devices))
if KIND == "model":
    mesh = keras.distribution.DeviceMesh(
        (1, DEVICES), ("batch", "model"), devices)
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*hidden/kernel"] = (None, "model")
    layout[".*out/kernel"] = ("model", None)
    keras.distribution.set_distribution(
        keras.distribution.ModelParallel(
            layout_map=layout, batch_dim_name="batch"))
model, optimizer, losses = run(contextlib.nullcontext)
if KIND == "model":
    kernel = model.get_layer("hidden").kernel
    hidden = [v for v in optimizer.variables
              if tuple(v.shape) == (4, 6, 8)]
    assert len(hidden) == 2, "hidden and cell state of the kernel"
    for variable in hidden:
        shard = variable.value.sharding.shard_shape(variable.value.shape)
        assert shard == (4, 6, 8 // DEVICES), shard
if SOURCE:  # the state of the other kind, as this kind has it
    model = keras.models.load_model(SOURCE)
    assert int(model.optimizer.iterations) == 12
if TARGET:
    model.save(TARGET)
    state = keras.tree.flatten(model.optimizer.policy_state)
    np.savez(TARGET + ".npz", *state)
print("losses", *losses)
"""


def losses(script, devices, setup):
    code = HEADER.format(devices=devices, setup=setup) + script
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
    )
    assert result.returncode == 0, result.stderr[-3000:]
    (line,) = [
        row for row in result.stdout.splitlines() if row.startswith("losses")
    ]
    return [float(value) for value in line.split()[1:]]


if keras.backend.backend() == "tensorflow":

    def test_mirrored_strategy_gives_one_devices_losses():
        setup = "import tensorflow as tf"
        one, two = (losses(MIRRORED, count, setup) for count in (1, 2))
        assert two == pytest.approx(one, rel=1e-4)
        assert one[-1] != one[0]


if keras.backend.backend() == "jax":

    @pytest.mark.parametrize("kind", ["data", "model"])
    def test_parallel_gives_one_devices_losses(kind):
        results = []
        for count, how in ((1, "none"), (2, kind)):
            setup = (
                "os.environ['XLA_FLAGS'] = "
                f"'--xla_force_host_platform_device_count={count}'\n"
                f"KIND, SOURCE, TARGET = {how!r}, None, None"
            )
            results.append(losses(PARALLEL, count, setup))
        assert results[1] == pytest.approx(results[0], rel=1e-4)

    def test_a_sharded_state_goes_to_one_device_and_back(tmp_path):
        source = None
        for number, kind in enumerate(["model", "none", "model"]):
            target = str(tmp_path / f"{number}.keras")
            setup = (
                "os.environ['XLA_FLAGS'] = "
                "'--xla_force_host_platform_device_count=2'\n"
                f"KIND, SOURCE, TARGET = {kind!r}, {source!r}, {target!r}"
            )
            losses(PARALLEL, 2, setup)
            source = target
        first, *others = [
            np.load(tmp_path / f"{number}.keras.npz") for number in range(3)
        ]
        assert int(first["arr_0"]) == 12
        for other in others:
            assert other.files == first.files
            for name in first.files:
                np.testing.assert_array_equal(first[name], other[name])


if keras.backend.backend() == "torch":

    def test_torch_runs_on_one_device():
        code = HEADER.format(devices=1, setup="import contextlib")
        code += "_, _, h = run(contextlib.nullcontext)\nprint('losses', *h)"
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr[-3000:]
