"""Several devices, in a process of their own: devices are set at start."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.backend

HEADER = """
import json
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import numpy as np
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

TWO_CPUS = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)

def strategy(count):
    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(count)])
"""

MIRRORED = """
def train(count):
    model, optimizer, losses = run(strategy(count).scope)
    before = np.concatenate([w.ravel() for w in model.get_weights()])
    x, y = np.ones((16, 6), "float32"), np.ones((16, 2), "float32")
    x[3] = np.nan
    model.fit(x, y, batch_size=16, verbose=0)
    after = np.concatenate([w.ravel() for w in model.get_weights()])
    assert int(optimizer.skipped_steps.numpy()) == 1
    np.testing.assert_array_equal(before, after)
    model.fit(x[4:], y[4:], batch_size=12, verbose=0)
    assert not np.array_equal(model.get_weights()[0].ravel(), after[:48])
    return losses

print("losses" + json.dumps([train(1), train(2)]))
"""

TABLES = """
from keras_l2o import table_state
table_state.LEAST_ROWS = 40

def train(count):
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 40, (32, 3)).astype("int32")
    y = rng.normal(size=(32, 2)).astype("float32")
    with strategy(count).scope():
        model = keras.Sequential([
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(40, 4),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ])
        model.compile(keras_l2o.LearnedOptimizer(policies.FeatureMLP()), "mse")
    history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    assert model.optimizer._policy_state().tables
    return history.history["loss"]

print("losses" + json.dumps([train(1), train(2)]))
"""

PARALLEL = """
import contextlib
import sys
devices = keras.distribution.list_devices("cpu")
assert len(devices) == 2

def distribute(kind):
    keras.distribution.set_distribution(None)
    if kind == "data":
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(devices=devices))
    if kind == "model":
        mesh = keras.distribution.DeviceMesh(
            (1, 2), ("batch", "model"), devices)
        layout = keras.distribution.LayoutMap(mesh)
        layout[".*hidden/kernel"] = (None, "model")
        layout[".*out/kernel"] = ("model", None)
        keras.distribution.set_distribution(
            keras.distribution.ModelParallel(
                layout_map=layout, batch_dim_name="batch"))

def shards(optimizer):
    hidden = [v for v in optimizer.variables if tuple(v.shape) == (4, 6, 8)]
    assert len(hidden) == 2, "hidden and cell state of the kernel"
    return [v.value.sharding.shard_shape(v.value.shape) for v in hidden]

def save(model, number):
    path = os.path.join(sys.argv[1], f"{number}.keras")
    model.save(path)
    state = keras.tree.flatten(model.optimizer.policy_state)
    np.savez(path + ".npz", *state)
    return path

losses = []
for kind in ("none", "data", "model"):
    distribute(kind)
    model, optimizer, history = run(contextlib.nullcontext)
    losses.append(history)
assert shards(optimizer) == [(4, 6, 4)] * 2
path = save(model, 0)
for number, kind in enumerate(["none", "model"], start=1):
    distribute(kind)
    model = keras.models.load_model(path)
    assert int(model.optimizer.iterations) == 12
    path = save(model, number)
assert shards(model.optimizer) == [(4, 6, 4)] * 2
print("losses" + json.dumps(losses))
"""


def losses(script, *arguments):
    result = subprocess.run(
        [sys.executable, "-c", HEADER + script, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
    )
    assert result.returncode == 0, result.stderr[-3000:]
    (line,) = [
        row for row in result.stdout.splitlines() if row.startswith("losses")
    ]
    return json.loads(line.removeprefix("losses"))


if keras.backend.backend() == "tensorflow":

    @pytest.mark.parametrize("script", [MIRRORED, TABLES])
    def test_mirrored_strategy_gives_one_devices_losses(script):
        one, two = losses(TWO_CPUS + script)
        assert two == pytest.approx(one, rel=1e-4)
        assert one[-1] != one[0]


if keras.backend.backend() == "jax":

    @pytest.fixture(scope="module")
    def folder(tmp_path_factory):
        return tmp_path_factory.mktemp("distribution")

    @pytest.fixture(scope="module")
    def parallel(folder):
        return losses(PARALLEL, str(folder))

    @pytest.mark.parametrize("kind", [1, 2], ids=["data", "model"])
    def test_parallel_gives_one_devices_losses(kind, parallel):
        assert parallel[kind] == pytest.approx(parallel[0], rel=1e-4)
        assert parallel[0][-1] != parallel[0][0]

    def test_a_sharded_state_goes_to_one_device_and_back(folder, parallel):
        first, *others = [
            np.load(folder / f"{number}.keras.npz") for number in range(3)
        ]
        assert int(first["arr_0"]) == 12
        for other in others:
            assert other.files == first.files
            for name in first.files:
                np.testing.assert_array_equal(first[name], other[name])


if keras.backend.backend() == "torch":

    def test_torch_runs_on_one_device():
        code = "import contextlib\n_, _, h = run(contextlib.nullcontext)\n"
        assert losses(code + "print('losses' + json.dumps(h))")
