"""`keras-l2o list`: choosing an optimizer in a shell."""

import pytest
from typer.testing import CliRunner

import keras_l2o
from keras_l2o.cli import application
from keras_l2o.hub import names

pytestmark = pytest.mark.quick


def listed(*arguments):
    """The rows of the table, as lists of cells, and all that is printed."""
    result = CliRunner().invoke(application, ["list", *arguments])
    assert result.exit_code == 0, result.exception
    known = set(names.bundled())
    rows = [line.split() for line in result.output.splitlines()]
    return [row for row in rows if row and row[0] in known], result.output


def test_all_optimizers_are_listed_and_no_word_is_broken():
    rows, output = listed()
    frame = keras_l2o.available()
    assert [row[0] for row in rows] == list(frame["name"])
    assert 'from_hub("general")' in output
    assert "\u2026" not in output
    assert max(map(len, output.splitlines())) <= 80
    row = next(row for row in rows if row[0] == "min-max-compact/1")
    assert row == [
        "min-max-compact/1", "*", "FeatureMLP", "4", "1.6", "-0.039",
        "conv_deeper_pool", "#3",
    ]  # fmt: skip


def test_a_narrow_terminal_breaks_no_word(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    _, output = listed("--best")
    assert "\u2026" not in output
    assert "choice-large-compact/8 * FeatureMLP" in output


def test_the_best_of_each_family_is_marked():
    rows, _ = listed()
    marked = {row[0] for row in rows if row[1] == "*"}
    families = {name.split("/")[0] for name in names.bundled()}
    assert marked == {names.best(family) for family in families}
    assert {row[0] for row in listed("--best")[0]} == marked


def test_the_list_is_sorted_and_what_was_not_measured_comes_last():
    frame = keras_l2o.available()
    rows, _ = listed("--sort=distance")
    ordered = frame.sort_values("distance", kind="stable")["name"]
    assert [row[0] for row in rows] == list(ordered)
    rows, _ = listed("--sort=cost")
    ordered = frame.sort_values("cost", kind="stable")["name"]
    assert [row[0] for row in rows] == list(ordered)


def test_the_list_is_filtered():
    rows, _ = listed("--family=mean", "--family=min-max")
    assert {row[0].split("/")[0] for row in rows} == {"mean", "min-max"}
    rows, _ = listed("--state=4")
    frame = keras_l2o.available()
    light = frame["name"][frame["state"] <= 4]
    assert [row[0] for row in rows] == list(light)
    assert 0 < len(light) < len(frame)
    rows, _ = listed("--state=4", "--student=General")
    assert {row[0].split("/")[0] for row in rows} == {"general"}


@pytest.mark.parametrize(
    ("option", "known"), [("family", "min-max"), ("student", "RNNProp")]
)
def test_an_unknown_name_is_an_error_with_those_that_there_are(option, known):
    arguments = ["list", f"--{option}=nothing"]
    error = CliRunner().invoke(application, arguments).exception
    assert isinstance(error, ValueError)
    assert f"Option --{option} must be one of" in str(error)
    assert known in str(error)
    assert "Received: 'nothing'" in str(error)
