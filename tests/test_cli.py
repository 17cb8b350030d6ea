import subprocess
import sys

import pytest
from typer.testing import CliRunner

import keras_l2o
from keras_l2o import demo
from keras_l2o.cli import application


@pytest.mark.parametrize("command", ["list", "prepare", "demo"])
def test_help_shows_an_example(command):
    result = CliRunner().invoke(application, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: keras-l2o {command}" in result.output


def test_an_error_is_one_line_and_no_traceback(tmp_path):
    code = "from keras_l2o.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "prepare", "fashion_mnist",
         "--source", str(tmp_path), "--data-dir", str(tmp_path / "data")],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert result.returncode == 1
    assert "error:" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_demo_runs_end_to_end(tmp_path):
    code = "from keras_l2o.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "demo", "--quick", "--output",
         str(tmp_path / "demo")],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    assert demo.REPLICATE in result.stdout
    picture = (tmp_path / "demo" / "curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert (tmp_path / "demo" / "optimizer" / "config.json").exists()


def test_the_demo_replaces_no_optimizer_but_a_demos(tmp_path):
    optimizer = keras_l2o.LearnedOptimizer(keras_l2o.policies.Adam())
    demo.check_output(tmp_path)
    keras_l2o.save(optimizer, tmp_path / "optimizer", {"command": demo.COMMAND})
    demo.check_output(tmp_path)
    keras_l2o.save(optimizer, tmp_path / "optimizer", {}, overwrite=True)
    with pytest.raises(keras_l2o.hub.HubError, match="no demo has made"):
        demo.main(tmp_path)
    assert keras_l2o.load(tmp_path / "optimizer")
