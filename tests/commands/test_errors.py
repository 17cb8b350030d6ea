"""Which errors are one line for a user, and which keep their traceback."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import keras_l2o
from keras_l2o import config
from keras_l2o import strategies
from keras_l2o.cli import application
from keras_l2o.errors import UserError
from keras_l2o.problems.datasets import DatasetError
from keras_l2o.tuner.errors import SearchError
from keras_l2o_commands.errors import is_ours


def caught(function):
    with pytest.raises(Exception) as info:  # noqa: PT011
        function()
    return info.value


def in_the_package(statements):
    """A function of these statements in a module of the package."""
    space = {"__name__": "keras_l2o.some_module", "np": np, "keras": keras}
    body = "\n".join(f"    {line}" for line in statements)
    exec(f"def function():\n{body}", space)
    return space["function"]


def test_what_the_package_raises_is_ours():
    assert is_ours(caught(lambda: strategies.get("simpel")))
    assert is_ours(caught(lambda: strategies.Simple(num_periods=-1)))
    assert is_ours(caught(lambda: keras_l2o.evaluate("adam", "digits_mlp", 0)))
    missing = "raise ImportError('install keras-l2o[plots]')"
    assert is_ours(caught(in_the_package([missing])))


def test_what_the_package_raises_from_another_error_is_ours():
    lines = [
        "try:",
        "    float('x')",
        "except ValueError as error:",
        "    raise ValueError('must be a number') from error",
    ]
    assert is_ours(caught(in_the_package(lines)))


def test_our_error_classes_are_ours_wherever_they_are_raised():
    for kind in (config.ConfigurationError, SearchError, DatasetError):
        assert issubclass(kind, UserError)

    def function():
        raise DatasetError("no network")

    assert is_ours(caught(function))


def test_numpys_error_is_not_ours_though_it_leaves_no_frame():
    lines = ["return np.zeros(3) + np.zeros(2)"]
    error = caught(in_the_package(lines))
    assert isinstance(error, ValueError)
    assert error.__traceback__.tb_next.tb_next is None  # ours is the last
    assert not is_ours(error)
    assert not is_ours(caught(in_the_package(["return float('x')"])))
    assert not is_ours(caught(in_the_package(["import no_such_module"])))


def test_an_error_that_was_let_through_is_not_ours():
    lines = ["try:", "    float('x')", "except ValueError:", "    raise"]
    assert not is_ours(caught(in_the_package(lines)))


def test_kerass_error_is_not_ours():
    lines = ["return keras.layers.Dense(3)(keras.ops.zeros(()))"]
    error = caught(in_the_package(lines))
    assert isinstance(error, ValueError)
    assert not is_ours(error)


def test_an_error_of_another_type_is_not_ours():
    assert not is_ours(caught(in_the_package(["raise KeyError('x')"])))


@pytest.mark.parametrize("command", ["evaluate", "baseline", "gridsearch"])
def test_no_runs_at_all_are_refused_before_any_work(command, tmp_path):
    arguments = [command, "--problem=digits_mlp", f"--directory={tmp_path}"]
    result = CliRunner().invoke(application, [*arguments, "--repeat=0"])
    assert result.exit_code == 2
    assert "--repeat" in result.stderr


def test_results_of_a_folder_that_is_not_there_are_an_error_of_ours(tmp_path):
    missing = f"--directory={tmp_path / 'none'}"
    result = CliRunner().invoke(application, ["results", missing])
    assert "There is no folder" in str(result.exception)
    assert is_ours(result.exception)


def run(*arguments, before=""):
    code = f"{before}\nfrom keras_l2o_commands.application import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
    )


def test_traceback_shows_where_our_error_comes_from():
    short = run("prepare", "mnist")
    assert short.returncode == 1
    assert short.stderr.startswith("error: Only fashion_mnist can be prepared")
    assert len(short.stderr.splitlines()) == 1
    long = run("--traceback", "prepare", "mnist")
    assert long.returncode == 1
    assert long.stderr.startswith("Traceback")
    assert "Only fashion_mnist can be prepared" in long.stderr


def test_a_numpy_error_within_a_command_keeps_its_traceback():
    # What a fault in the package would look like.
    before = (
        "import numpy, keras_l2o_commands.bundled as bundled\n"
        "space = vars(bundled); space['numpy'] = numpy\n"
        "exec('def fault(frame): return numpy.zeros(3) + numpy.zeros(2)',"
        " space)\n"
        "from keras_l2o.hub import listing\n"
        "listing.choices = lambda: bundled.fault(None)\n"
    )
    result = run("list", before=before)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "could not be broadcast" in result.stderr
