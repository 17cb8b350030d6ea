"""Processes that are killed at any moment, and what they leave."""

import csv
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

import keras_l2o
from keras_l2o.hub import folder as folder_module
from keras_l2o.strategies.rows import TIMES
from tests.strategies.fork_server import REFUSED

KILLS = {"simple": 5, "repeat": 5, "curriculum": 5}
SAVES = 5
pytestmark = pytest.mark.timeout(900)


class Server:
    """Runs jobs of `fork_server`, each in a process that may be killed."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.strategies.fork_server"],
            cwd=pathlib.Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(self, job, seconds=None, /, **arguments):
        """Runs a job to its end, or kills it; returns how it ended."""
        line = json.dumps([job, arguments, seconds])
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.close()


def contents(folder):
    """All that is in a folder, but for the times in a summary."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name == "summary.csv":
            with open(path) as file:
                found[name] = [
                    {k: v for k, v in line.items() if k not in TIMES}
                    for line in csv.DictReader(file)
                ]
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def project(folder):
    """A folder with files of a user in it."""
    for name in (
        ".git/HEAD", ".env", ".venv/.lock", "checkpoints/mine.weights.h5",
        "checkpoints/.hidden", "logs/.hidden", "notes.txt",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture(scope="module")
def runs(server, tmp_path_factory):
    """A run of each plan that nobody has killed, and how long it took."""
    parent, found = tmp_path_factory.mktemp("whole"), {}
    for plan in KILLS:
        path = project(parent / plan)
        begun = time.monotonic()
        assert server.run("train", plan=plan, path=str(path)) == 0
        found[plan] = path, time.monotonic() - begun
    return found


@pytest.mark.parametrize("plan", KILLS)
def test_a_killed_run_ends_as_one_that_was_not(plan, server, runs, tmp_path):
    whole, seconds = runs[plan]
    draw, kills, round_ = random.Random(plan), 0, 0
    while kills < KILLS[plan]:
        path = project(tmp_path / str(round_))
        round_ += 1
        while kills < KILLS[plan]:
            code = server.run(
                "train", draw.uniform(0, seconds), plan=plan, path=str(path)
            )
            assert code in (0, -signal.SIGKILL)
            if code == 0:
                break
            kills += 1
        assert server.run("train", plan=plan, path=str(path)) == 0
        assert contents(path) == contents(whole)


def test_a_killed_package_leaves_an_optimizer(server, runs, tmp_path):
    sources = [str(runs[plan][0]) for plan in ("simple", "repeat")]
    output = tmp_path / "packed"
    arguments = dict(runs=sources, output=str(output))
    begun = time.monotonic()
    assert server.run("pack", endless=False, **arguments) == 0
    whole, usual = contents(tmp_path), time.monotonic() - begun
    draw = random.Random(1)
    for _ in range(SAVES):
        seconds = draw.uniform(usual / 2, usual + 0.5)
        code = server.run("pack", seconds, endless=True, **arguments)
        assert code == -signal.SIGKILL
        assert keras_l2o.load(output)
    assert server.run("pack", endless=False, **arguments) == 0
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_killed_save_leaves_the_old_or_the_new(server, exchanges, tmp_path):
    folder = tmp_path / "saved"
    arguments = dict(folder=str(folder), exchanges=exchanges)
    (tmp_path / ".saved.mine").touch()
    begun = time.monotonic()
    assert server.run("save", value=0, endless=False, **arguments) == 0
    usual = time.monotonic() - begun
    draw, last = random.Random(2), {0, 1}
    for value in range(10, 10 * (SAVES // 2 + 1), 10):
        seconds = draw.uniform(usual / 2, usual + 0.5)
        code = server.run(
            "save", seconds, value=value, endless=True, **arguments
        )
        assert code == -signal.SIGKILL
        found = folder_module.read_metadata(folder)["value"]
        assert found in last | {value, value + 1}
        assert keras_l2o.load(folder)
        last = {found}
    assert server.run("save", value=5, endless=False, **arguments) == 0
    assert folder_module.read_metadata(folder) == {"value": 5}
    assert sorted(os.listdir(tmp_path)) == [".saved.mine", "saved"]


def test_two_runs_started_together_are_one(server, runs, tmp_path):
    whole, _ = runs["repeat"]
    project(tmp_path)
    arguments = [dict(plan="repeat", path=str(tmp_path))] * 2
    code = server.run("together", None, job="train", arguments=arguments)
    assert code == REFUSED
    assert contents(tmp_path) == contents(whole)


@pytest.mark.parametrize("exchanges", [True, False])
def test_two_saves_to_one_folder_take_turns(server, exchanges, tmp_path):
    folder = tmp_path / "saved"
    arguments = [
        dict(
            value=value,
            folder=str(folder),
            endless=False,
            exchanges=exchanges,
            times=10,
        )
        for value in (10, 20)
    ]
    assert server.run("together", None, job="save", arguments=arguments) == 0
    assert folder_module.read_metadata(folder)["value"] in (10, 20)
    assert keras_l2o.load(folder)
    assert os.listdir(tmp_path) == ["saved"]
