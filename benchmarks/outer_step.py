"""MetaTrainer's outer step beside a bare TensorFlow loop of the same maths.

    python benchmarks/outer_step.py [--rounds 5] [--tasks 1 4]

The problem is conv_train on Fashion-MNIST's shapes (random images), batch
128, unroll 20, Adam and RMSprop as teachers, RNNProp (20, 20) as student,
scaling spread 1. Both make the outer step: unroll, objective, outer gradient,
adaptive clipping, Adam. They alternate in one process, trainer then bare; the
ratio is that of the medians. Peak memory is that of each alone, in a process
of its own.

Last printout, on two cores of an AMD EPYC at half of their usual speed,
TensorFlow 2.21, Keras 3.15.1, no GPU, `--rounds 16`, rounds left out:

    first trainer loss = -3.517125
    first bare loss = -3.517091
    trainer_peak_megabytes = 2779
    bare_peak_megabytes = 2293
    ratio = 1.027
    trainer_seconds = 2.721
    bare_seconds = 2.649

With four tasks, another run, `--tasks 4 --rounds 6`:

    first trainer loss = -3.653516
    first bare loss = -3.653487
    trainer_peak_megabytes_4_tasks = 3281
    bare_peak_megabytes_4_tasks = 4125
    ratio_4_tasks = 0.983
    trainer_seconds_4_tasks = 3.942
    bare_seconds_4_tasks = 4.010
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

import keras_l2o

HERE = pathlib.Path(__file__).parent
UNROLL, BATCH = 20, 128
ADAM_RATE = RMSPROP_RATE = 0.005


def make_problem():
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(4096, 28, 28, 1)).astype("float32")
    labels = rng.integers(0, 10, 4096).astype("int32")
    network = keras_l2o.problems.networks.conv((28, 28, 1), 10)
    return keras_l2o.problems.Problem(
        network, (images, labels), batch_size=BATCH
    )


def make_trainer(problem, tasks=1):
    keras.utils.set_random_seed(0)
    trainer = keras_l2o.MetaTrainer(
        keras_l2o.policies.RNNProp(odd=False),  # the bare loop's LSTM
        teachers=[
            keras_l2o.policies.Adam(ADAM_RATE),
            keras_l2o.policies.RMSprop(RMSPROP_RATE),
        ],
        problems=problem,
        unroll=UNROLL,
        tasks=tasks,
        depth=1,
    )
    trainer.compile()
    return trainer


class Bare:
    """The outer step in plain TensorFlow, with nothing of keras_l2o's.

    It repeats the mathematics of one task whose episode has just begun:
    weights come in as arrays, `(2, 80)`, `(20, 80)`, `(80,)` for each LSTM
    layer and `(20, 1)`, `(1,)` for the output.
    """

    def __init__(self, weights, shapes):
        self.weights = [tf.Variable(w) for w in weights]
        self.shapes = shapes
        self.sizes = [int(np.prod(shape)) for shape in shapes]
        self.first = [tf.Variable(tf.zeros_like(w)) for w in self.weights]
        self.second = [tf.Variable(tf.zeros_like(w)) for w in self.weights]
        self.count = tf.Variable(0.0)
        self.step = tf.function(self._step, autograph=False)

    def network_loss(self, flat, images, labels):
        parts = tf.split(flat, self.sizes)
        k1, b1, k2, b2, w, b = [
            tf.reshape(part, shape) for part, shape in zip(parts, self.shapes)
        ]
        x = tf.nn.relu(tf.nn.conv2d(images, k1, 1, "VALID") + b1)
        x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        x = tf.nn.relu(tf.nn.conv2d(x, k2, 1, "VALID") + b2)
        x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        x = tf.reshape(x, (BATCH, -1)) @ w + b
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x)
        )

    def loss_and_gradient(self, flat, images, labels):
        with tf.GradientTape() as tape:
            tape.watch(flat)
            loss = self.network_loss(flat, images, labels)
        return loss, tape.gradient(loss, flat)

    def lstm(self, x, h, c, kernel, recurrent, bias):
        z = x @ kernel + h @ recurrent + bias
        i, f, g, o = tf.split(z, 4, axis=1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        return tf.sigmoid(o) * tf.tanh(c), c

    def gradient(self, parameters, scale, images, labels):
        n = parameters.shape[0]
        zeros, wide = tf.zeros((n,)), tf.zeros((n, 20))
        losses = tf.TensorArray(tf.float32, UNROLL)

        def body(i, student, hidden, m, v, adam, am, av, rms, rv, total, out):
            x, y = images[i], labels[i]
            t = tf.cast(i + 1, tf.float32)
            loss, g = self.loss_and_gradient(student, x, y)
            g = g * scale
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g * g
            root = tf.math.rsqrt(v / (1 - 0.999**t) + 1e-10)
            features = tf.stack([m / (1 - 0.9**t) * root, g * root], axis=1)
            h1, c1, h2, c2 = hidden
            h1, c1 = self.lstm(features, h1, c1, *self.weights[0:3])
            h2, c2 = self.lstm(h1, h2, c2, *self.weights[3:6])
            update = 0.1 * tf.tanh(h2 @ self.weights[6] + self.weights[7])
            student = student - scale * update[:, 0]
            start = self.network_loss(parameters, x, y)

            _, g = self.loss_and_gradient(adam, x, y)
            am = 0.9 * am + 0.1 * g
            av = 0.999 * av + 0.001 * g * g
            adam = adam - ADAM_RATE * am / (1 - 0.9**t) * tf.math.rsqrt(
                av / (1 - 0.999**t) + 1e-10
            )
            _, g = self.loss_and_gradient(rms, x, y)
            rv = 0.9 * rv + 0.1 * g * g
            rms = rms - RMSPROP_RATE * g * tf.math.rsqrt(rv + 1e-10)
            distance = tf.maximum(
                tf.math.log(tf.reduce_mean((student - adam) ** 2)),
                tf.math.log(tf.reduce_mean((student - rms) ** 2)),
            )
            total = (
                total
                + (tf.math.log(loss) - tf.math.log(start) + 0.5 * distance)
                / UNROLL
            )
            hidden = (h1, c1, h2, c2)
            return (
                i + 1, student, hidden, m, v, adam, am, av, rms, rv, total,
                out.write(i, loss),
            )  # fmt: skip

        with tf.GradientTape() as tape:
            result = tf.while_loop(
                lambda i, *_: i < UNROLL,
                body,
                (
                    tf.constant(0), parameters, (wide,) * 4, zeros, zeros,
                    parameters, zeros, zeros, parameters, zeros,
                    tf.constant(0.0), losses,
                ),
                maximum_iterations=UNROLL,
            )  # fmt: skip
            total = result[-2]
        return total, tape.gradient(total, self.weights), result[-1].stack()

    def _step(self, tasks):
        results = [self.gradient(*task) for task in tasks]
        total = tf.add_n([result[0] for result in results]) / len(tasks)
        gradients = [
            tf.add_n(row) / len(tasks)
            for row in zip(*(result[1] for result in results))
        ]
        losses = results[0][2]
        self.count.assign_add(1.0)
        t = self.count
        for w, g, m, v in zip(self.weights, gradients, self.first, self.second):
            axis = 0 if len(w.shape) > 1 else None
            norm = tf.sqrt(tf.reduce_sum(w * w, axis, keepdims=True))
            size = tf.sqrt(tf.reduce_sum(g * g, axis, keepdims=True))
            bound = 0.1 * tf.maximum(norm, 1e-3)
            g = g * tf.minimum(bound / tf.maximum(size, 1e-14), 1.0)
            m.assign(0.9 * m + 0.1 * g)
            v.assign(0.999 * v + 0.001 * g * g)
            rate = 1e-3 * tf.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            w.assign_sub(rate * m / (tf.sqrt(v) + 1e-7))
        return total, losses


def runners(which, tasks=1):
    """Functions that make one outer step each, on the same data."""
    problem = make_problem()
    trainer = make_trainer(problem, tasks)
    weights = [w.numpy() for w in trainer.student.trainable_variables]
    data = [trainer.episodes.at(i) for i in range(2)]
    result = {}
    if "trainer" in which:
        batches = [tensors((step,)) for step in data]
        trainer.make_train_function()

        def run_trainer(i):
            trainer.reset_metrics()
            logs = trainer.train_function(iter([batches[i % 2]]))
            return float(logs["loss"])

        result["trainer"] = run_trainer
    if "bare" in which:
        bare = Bare(weights, problem.trainable_shapes)
        steps = [tensors(step[0]) for step in data]

        def run_bare(i):
            step = steps[i % 2]
            total, _ = bare.step(
                [
                    (
                        step["parameters"][task],
                        step["scale"][task],
                        step["batches"][0][task],
                        step["batches"][1][task],
                    )
                    for task in range(tasks)
                ]
            )
            return float(total)

        result["bare"] = run_bare
    return result


def tensors(nest):
    return tf.nest.map_structure(tf.convert_to_tensor, nest)


def peak_memory(which, tasks):
    """Peak resident megabytes of a process that makes three steps."""
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r});"
        "import outer_step as o;"
        f"run = o.runners(['{which}'], {tasks})['{which}'];"
        "[run(i) for i in range(3)];"
        # Not `getrusage`, which begins at what the parent process had.
        "status = open('/proc/self/status').read();"
        "print('peak', int(status.split('VmHWM:')[1].split()[0]) // 1024)"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    return int(output.split("peak")[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tasks", type=int, nargs="*", default=[1])
    arguments = parser.parse_args()
    for tasks in arguments.tasks:
        measure(arguments.rounds, tasks)


def measure(rounds, tasks):
    run = runners(["trainer", "bare"], tasks)
    for name, function in run.items():
        print(f"first {name} loss = {function(0):.6f}")
    times = {name: [] for name in run}
    for i in range(rounds):
        for name, function in run.items():
            started = time.perf_counter()
            function(i)
            times[name].append(time.perf_counter() - started)
        print({name: round(row[-1], 2) for name, row in times.items()})
    medians = {name: statistics.median(row) for name, row in times.items()}
    end = "" if tasks == 1 else f"_{tasks}_tasks"
    for name in run:
        print(f"{name}_peak_megabytes{end} = {peak_memory(name, tasks)}")
    print(f"ratio{end} = {medians['trainer'] / medians['bare']:.3f}")
    print(f"trainer_seconds{end} = {medians['trainer']:.3f}")
    print(f"bare_seconds{end} = {medians['bare']:.3f}", flush=True)


if __name__ == "__main__":
    main()
