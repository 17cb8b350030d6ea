"""What a command needs in the end is asked for before it begins."""

import sys

import pytest
from typer.testing import CliRunner

from keras_l2o import evaluation
from keras_l2o.cli import application
from keras_l2o.evaluation import needs
from keras_l2o.evaluation import statistics

pytestmark = pytest.mark.quick


@pytest.fixture
def without_extras(monkeypatch):
    for name in (*needs.STATISTICS, *needs.PICTURES):
        monkeypatch.setitem(sys.modules, name, None)


def test_a_missing_module_is_named_with_what_installs_it(without_extras):
    needs.require("json")
    with pytest.raises(ImportError, match=r"statsmodels.*keras-l2o\[plots\]"):
        needs.require("json", "statsmodels")
    with pytest.raises(ImportError, match=r"needs scipy and statsmodels, wh"):
        statistics.mixed_interval([1.0, 2.0, 3.0, 5.0], [0, 0, 1, 1])


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "--family=min-max", "--problem=digits_mlp"],
        ["plot", "losses", "results"],
        ["card", "min-max", "--evaluations=results"],
    ],
)
def test_a_command_asks_before_it_computes(
    without_extras, monkeypatch, tmp_path, arguments
):
    def begun(*args, **kwargs):
        pytest.fail("It began.")

    monkeypatch.setattr(evaluation, "evaluate_replicates", begun)
    monkeypatch.setattr(evaluation.collection, "collect", begun)
    if arguments[0] == "evaluate":
        arguments = [*arguments, f"--directory={tmp_path}"]
    result = CliRunner().invoke(application, arguments)
    assert isinstance(result.exception, ImportError)
    assert "pip install 'keras-l2o[plots]'" in str(result.exception)
