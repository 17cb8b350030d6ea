"""What TensorFlow's rematerialized scan keeps, and what its allocator does."""

import os
import subprocess
import sys

import keras
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("of TensorFlow's own", allow_module_level=True)

import tensorflow as tf

from keras_l2o import backend
from keras_l2o.backend import tensorflow_memory
from keras_l2o.backend.tensorflow_scan import _Step

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_kept_is_not_computed_again(keep):
    def step(carry, index):
        student, teacher = carry
        teacher = tf.stop_gradient(tf.tanh(teacher))
        if keep:
            teacher = backend.kept(teacher)
        student = student - tf.sin(student)
        return (student, teacher), tf.reduce_sum((student - teacher) ** 2)

    made = _Step(step, (tf.ones(3), tf.ones(3)))
    # Where the teacher was is read only to compute where it is.
    assert made.reads_carry == [True, not keep]
    assert made.reads_kept == [True] * keep


def test_under_xla_it_is_the_same():
    def gradient(rate):
        with tf.GradientTape() as tape:
            tape.watch(rate)
            _, losses = backend.scan(
                lambda x, row: (x - tf.sin(rate * x) * row,) * 2,
                tf.ones(3), tf.constant([[1.0], [2.0]]), 2, True,
            )  # fmt: skip
            loss = tf.reduce_sum(losses)
        return tape.gradient(loss, rate)

    rate = tf.constant(0.3)
    compiled = tf.function(gradient, jit_compile=True)(rate)
    assert float(compiled) == pytest.approx(float(tf.function(gradient)(rate)))


PROGRAM = """
import contextlib, resource, sys
import numpy as np
from keras_l2o import backend

def faults(scope):
    with scope:
        for _ in range(3):
            np.ones(5_000_000).sum()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(4):
            np.ones(5_000_000).sum()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(contextlib.nullcontext()), faults(backend.memory_scope()),
      faults(contextlib.nullcontext()))
"""


@pytest.mark.skipif(
    tensorflow_memory._glibc() is None, reason="needs the C library glibc"
)
@pytest.mark.parametrize("told", [False, True])
def test_freed_memory_stays_while_it_is_asked_for(told):
    environment = {
        key: value
        for key, value in os.environ.items()
        if key != "GLIBC_TUNABLES" and not key.startswith("MALLOC_")
    }
    # NumPy would ask for pages of two megabytes.
    environment["NUMPY_MADVISE_HUGEPAGE"] = "0"
    if told:
        environment["MALLOC_ARENA_MAX"] = "8"
    printed = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    before, within, after = map(int, printed.split())
    # Forty megabytes have ten thousand pages, four times.
    assert before > 20_000
    assert after > 20_000
    assert within > 20_000 if told else within < 1_000
