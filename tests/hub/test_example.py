import os
import pathlib
import subprocess
import sys

import pytest

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "publish.py"


@pytest.mark.usefixtures("logged_in")
def test_the_example_publishes_and_loads_back(hub_server):
    result = subprocess.run(
        [sys.executable, str(EXAMPLE), "hf://org/repo/mine/1", "--private"],
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "PYTHONPATH": str(EXAMPLE.parents[1]),
        },
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    repository = hub_server.repositories["org/repo"]
    commit = repository.branches["main"]
    assert repository.private
    assert f"loaded: hf://org/repo/mine/1@{commit}" in result.stdout
    loss = float(result.stdout.split("loss on digits with it:")[1])
    assert 0 < loss < 1
    card = repository.files()["README.md"].decode()
    assert "| digits.train_loss |" in card
    assert "hf_member" not in result.stdout + result.stderr
