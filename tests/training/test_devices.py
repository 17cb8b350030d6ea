"""Meta-training on two devices and in two processes gives one's results."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_l2o.tuner.crew import free_port
from tests.training import sharing

pytestmark = pytest.mark.backend

ROOT = pathlib.Path(__file__).parents[2]


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.sharing", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
    )


def result(process):
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-3000:]
    (line,) = [row for row in output.splitlines() if row.startswith("RESULT")]
    return json.loads(line.removeprefix("RESULT"))


def assert_alike(one, other):
    (history, weights, carried), (histories, other_weights, others) = one, other
    assert set(histories) == set(history)
    for key, values in history.items():
        assert histories[key] == pytest.approx(values, rel=1e-4), key
    np.testing.assert_allclose(other_weights, weights, rtol=1e-3, atol=1e-5)
    for first, second in zip(carried, others, strict=True):
        np.testing.assert_allclose(second, first, rtol=1e-3, atol=1e-4)


if keras.backend.backend() != "torch":  # which runs on one device

    @pytest.fixture(scope="module")
    def alone():
        return sharing.run()

    def test_two_devices_with_half_the_tasks_each_give_one_devices_results(
        alone,
    ):
        together, error = result(start("devices"))
        assert_alike(alone, together)
        assert "`tasks` must be a multiple of the number" in error

    def test_two_processes_with_half_the_tasks_each_give_ones_results(alone):
        ports = [free_port() for _ in range(2)]
        processes = [start("process", rank, *ports) for rank in range(2)]
        try:
            for process in processes:
                assert_alike(alone, result(process))
        finally:
            for process in processes:
                process.kill()
