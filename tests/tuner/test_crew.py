import os
import subprocess
import sys
import time

import pytest

from keras_l2o.tuner import SearchError
from keras_l2o.tuner import crew

CHIEF = "if name == 'chief': time.sleep(60)\n"


def command(code):
    """A process that knows its name, and a folder that all of them see."""
    start = (
        "import os, pathlib, sys, time\n"
        "name = os.environ['KERASTUNER_TUNER_ID']\n"
        "folder = pathlib.Path(sys.argv[1])\n"
    )
    return lambda folder: [sys.executable, "-c", start + code, str(folder)]


def test_a_worker_that_dies_is_started_again_under_its_name(tmp_path):
    code = CHIEF + (
        "mark = folder / name\n"
        "if mark.exists(): sys.exit(0)\n"
        "mark.touch()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    seen = []
    crew.run(command(code)(tmp_path), 2, tmp_path / "logs", seen.append, 0.05)
    pids = {name: {row[name] for row in seen} for name in seen[0]}
    assert len(pids["chief"]) == 1
    assert len(pids["worker0"]) == len(pids["worker1"]) == 2
    for group in pids.values():
        for pid in group:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (CHIEF + "sys.exit('no such data')", "worker0 ended with 1.*such data"),
        ("if name == 'chief': os.kill(os.getpid(), 9)\ntime.sleep(60)",
         "chief was killed by signal 9.*nothing"),
    ],
)  # fmt: skip
def test_a_search_that_cannot_go_on_says_why(tmp_path, code, message):
    with pytest.raises(SearchError, match=message):
        crew.run(command(code)(tmp_path), 1, tmp_path / "logs", seconds=0.05)


def test_a_chief_that_is_done_ends_the_search(tmp_path):
    code = "if name == 'chief': sys.exit(0)\ntime.sleep(60)"
    began = time.monotonic()
    crew.run(command(code)(tmp_path), 2, tmp_path / "logs", seconds=0.05)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("of_a_command", [False, True])
def test_a_launcher_that_is_terminated_ends_its_processes(
    tmp_path, of_a_command
):
    code = "(folder / name).write_text(str(os.getpid()))\ntime.sleep(60)"
    run = f"crew.run({command(code)(tmp_path)!r}, 1, {str(tmp_path)!r})"
    if of_a_command:
        run = f"""
from keras_l2o_commands.interruption import interruptible
import typer
try:
    with interruptible("the rest is lost"):
        {run}
except typer.Exit as ended:
    sys.exit(ended.exit_code)
"""
    launcher = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys\nfrom keras_l2o.tuner import crew\n{run}",
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        paths = [tmp_path / name for name in ("chief", "worker0")]
        deadline = time.monotonic() + 100
        while not all(path.exists() and path.read_text() for path in paths):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        launcher.terminate()
        _, said = launcher.communicate(timeout=60)
        assert launcher.returncode == 143
        assert ("terminated: the rest is lost\n" in said) == of_a_command
    finally:
        launcher.kill()
        launcher.wait()
    for path in paths:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text()), 0)
