"""A short meta-training whose tasks devices or processes share.

    python -m tests.training.sharing devices
    python -m tests.training.sharing process RANK PORT [PORT ...]

prints what two devices give, and their error; or what one of several processes
gives. The ports are of loopback: JAX's coordinator has the first, and each of
TensorFlow's workers one.
"""

import contextlib
import json
import os
import sys

KIND = sys.argv[1] if __name__ == "__main__" else None
if KIND == "devices":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import keras  # noqa: E402
import numpy as np  # noqa: E402

import keras_l2o  # noqa: E402
from keras_l2o import perturbations  # noqa: E402
from keras_l2o import policies  # noqa: E402
from keras_l2o import problems  # noqa: E402


def network():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(2),
        ]
    )


def run(scope=contextlib.nullcontext, **options):
    """The history, the student's weights and where the tasks stand."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 6)).astype("float32")
    problem = problems.Problem(
        network, (x, x[:, :2] * 2.0), loss="mse", batch_size=8
    )
    shared = {"tasks": 2, "validation_tasks": 2, "validation_depth": 2}
    with scope():
        trainer = keras_l2o.MetaTrainer(
            policies.RNNProp(units=(3,)),
            [policies.Adam(0.02)],
            problem,
            unroll=3,
            depth=(1, 3),
            log_losses=True,
            **{**shared, **options},
        )
        trainer.compile(keras.optimizers.Adam(1e-2))
    history = trainer.fit(
        epochs=2,
        steps_per_epoch=2,
        verbose=0,
        callbacks=[
            perturbations.Gaussian(1e-2, seed=1),
            perturbations.InputNoise(1e-2, seed=2),
        ],
    ).history
    weights = np.concatenate([w.ravel() for w in trainer.student.get_weights()])
    carried = [
        keras.ops.convert_to_numpy(leaf).ravel().tolist()
        for leaf in keras.tree.flatten(trainer.state.carries[0])
    ]
    return [history, weights.tolist(), carried]


def error(scope):
    try:
        run(scope, tasks=3)
    except ValueError as error:
        return str(error)


def two_devices():
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * 2,
        )
        scope = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope
    else:
        devices = keras.distribution.list_devices("cpu")
        assert len(devices) == 2
        scope = contextlib.nullcontext
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(devices=devices)
        )
    return [run(scope), error(scope)]


def one_of_several(rank, ports):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        workers = [f"127.0.0.1:{port}" for port in ports]
        os.environ["TF_CONFIG"] = json.dumps(
            {
                "cluster": {"worker": workers},
                "task": {"type": "worker", "index": rank},
            }
        )
        return run(tf.distribute.MultiWorkerMirroredStrategy().scope)
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{ports[0]}", len(ports), rank)
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(auto_shard_dataset=False)
    )
    return run()


if __name__ == "__main__":
    if KIND == "devices":
        result = two_devices()
    else:
        rank, *ports = map(int, sys.argv[2:])
        result = one_of_several(rank, ports)
    print("RESULT" + json.dumps(result))
