"""Forks a process for each job, so that TensorFlow is imported only once.

Run as a program: a line of JSON on the standard input names a job, its
arguments and after how many seconds it is killed, or null; how it ended is a
line on the standard output.
"""

import json
import os
import pathlib
import signal
import sys
import time
import traceback
import types

import keras
import numpy as np

import keras_l2o
from keras_l2o import policies
from keras_l2o import strategies
from keras_l2o.hub import replacing
from keras_l2o.training import periods
from keras_l2o_commands.run import package

#: How a process ends that another one has kept out.
REFUSED = 3

PLANS = {
    "simple": lambda path: strategies.Simple(
        path, num_periods=8, unroll=1, depth=2, episodes=1
    ),
    "repeat": lambda path: strategies.Repeat(
        path, num_periods=6, depth=1, episodes=2, repeat_threshold=0.1
    ),
    "curriculum": lambda path: strategies.Curriculum(
        path, num_stages=2, num_periods=2, num_chances=2, depth=1, episodes=1
    ),
}


class Trainer(keras.Model):
    """To a strategy a `MetaTrainer`; its steps are a little arithmetic."""

    problems, teachers, teacher_names, validation = (), (), (), None
    episodes = types.SimpleNamespace(stream=lambda: None)
    stop_training, replicates = False, None
    estimator = types.SimpleNamespace(whole_episodes=False)

    def __init__(self):
        super().__init__()
        self.student = policies.RNNProp(units=(3,))
        self.student.build()
        self.student.set_weights(
            [np.full(w.shape, 0.01, "float32") for w in self.student.weights]
        )
        self.imitation_weight = self.add_weight(name="imitation_weight")
        self.built = True

    def get_student(self, replicate):
        return self.student.copy()

    def set_episodes(self, seed, **_):
        self.random = np.random.default_rng(seed)

    def set_validation(self, **_):
        pass

    def train(self, strategy):
        return periods.fit_periods(
            self, self._fit, strategy, [strategy], verbose=0
        )

    def _fit(self, x, initial_epoch, steps_per_epoch, callbacks, **_):
        callbacks.on_epoch_begin(initial_epoch)
        for step in range(steps_per_epoch):
            self.student.set_weights(
                [
                    weight + self.random.normal(size=weight.shape)
                    for weight in self.student.get_weights()
                ]
            )
            logs = {"loss": float(self.random.normal())}
            callbacks.on_train_batch_end(step, logs)
        logs["val_log_loss"] = float(self.random.normal())
        callbacks.on_epoch_end(initial_epoch, logs)


def train(plan, path):
    Trainer().train(PLANS[plan](path))


def pack(runs, output, endless):
    while True:
        for run in runs:
            package(run, output, overwrite=True)
        if not endless:
            return


def save(value, folder, endless, exchanges, times=1):
    if not exchanges:
        replacing.exchange = lambda one, other: False
    optimizer = keras_l2o.LearnedOptimizer(policies.RNNProp(units=(3,)))
    while True:
        for metadata in ({"value": value + 1}, {"value": value}):
            keras_l2o.save(optimizer, folder, metadata, overwrite=True)
        times -= 1
        if not endless and times == 0:
            return


def together(job, arguments):
    """Runs a job in two processes, which begin when both are there."""
    read, write = os.pipe()
    children = []
    for each in arguments:
        child = os.fork()
        if not child:
            os.read(read, 1)  # waits for the other
            _run(globals()[job], each)
        children.append(child)
    os.write(write, b"go")
    ends = [os.waitpid(child, 0)[1] for child in children]
    codes = sorted(os.waitstatus_to_exitcode(end) for end in ends)
    os._exit({(0, 0): 0, (0, REFUSED): REFUSED}.get(tuple(codes), 1))


def main():
    print("ready", flush=True)
    for line in sys.stdin:
        job, arguments, seconds = json.loads(line)
        child = os.fork()
        if not child:
            _run(globals()[job], arguments)
        print(_end(child, seconds), flush=True)


def _end(child, seconds):
    """How a process ends, or that it was killed after so many seconds."""
    end = None if seconds is None else time.monotonic() + seconds
    while end is not None and time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    if end is not None:
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run(job, arguments):
    code = 1
    try:
        os.dup2(2, 1)
        job(**arguments)
        code = 0
    except strategies.RunError as error:
        code = REFUSED if " is in use by " in str(error) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
    main()
