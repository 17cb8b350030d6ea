import os
import signal
import subprocess
import sys

import pytest

from keras_l2o.files.lock import NAME
from keras_l2o.files.lock import Lock
from keras_l2o.files.lock import Locked

pytestmark = pytest.mark.quick

#: A lock knows of no backend, and this one is imported the fastest.
ENVIRONMENT = {**os.environ, "KERAS_BACKEND": "jax"}

HOLD = """
import sys, time
from keras_l2o.files.lock import Lock
lock = Lock(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_who_comes_second_is_told_who_is_there(holder, tmp_path):
    with pytest.raises(Locked) as caught:
        Lock(tmp_path)
    message = str(caught.value)
    assert f"{tmp_path} is in use by process {holder.pid} on " in message
    assert "since 20" in message
    assert "\n" not in message


def test_a_killed_process_leaves_no_lock(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / NAME).exists()
    with Lock(tmp_path):
        assert str(os.getpid()) in (tmp_path / NAME).read_text()


def test_a_released_lock_leaves_no_file(tmp_path):
    lock = Lock(tmp_path)
    with pytest.raises(Locked):
        Lock(tmp_path)
    lock.release()
    lock.release()
    assert not list(tmp_path.iterdir())
    Lock(tmp_path).release()


def test_a_lock_that_waits_gets_in_when_the_other_leaves(tmp_path):
    count = 3
    program = """
import pathlib, sys
from keras_l2o.files.lock import Lock
for _ in range(20):
    with Lock(sys.argv[1], seconds=60):
        path = pathlib.Path(sys.argv[1], "count")
        path.write_text(str(int(path.read_text()) + 1))
"""
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [
        subprocess.Popen(command, env=ENVIRONMENT) for _ in range(count)
    ]
    assert [process.wait() for process in processes] == [0] * count
    assert (tmp_path / "count").read_text() == str(20 * count)
