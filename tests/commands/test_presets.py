import shlex

import pytest
from typer.testing import CliRunner

from keras_l2o import config
from keras_l2o.cli import application

pytestmark = pytest.mark.quick


def invoke(*arguments):
    return CliRunner().invoke(
        application, ["presets", *arguments], env={"COLUMNS": "80"}
    )


def test_presets_lists_all_with_what_they_set():
    output = invoke().output
    for name in config.PRESETS:
        assert f" {name} " in output
    assert "--strategy/num_periods=5" in output
    assert all(len(line) <= 80 for line in output.splitlines())


@pytest.mark.parametrize(
    "names",
    ["conv_train,adam,rmsprop,il_more", "release,min_max,compact_narrow,cgd"],
)
def test_every_line_of_a_configuration_can_be_typed_and_says_what_is(names):
    lines = invoke(names).output.splitlines()
    overrides = [
        config.parse_override(argument)
        for line in lines
        for argument in shlex.split(line)
    ]
    assert len(overrides) == len(lines)
    expected = config.resolve(names.split(","))
    assert config.resolve(names.split(","), overrides=overrides) == expected
    # A line that says something else changes something.
    assert "--strategy/num_periods=" in "".join(lines)
    assert any(
        line.startswith("--training/teachers/0/learning_rate=")
        for line in lines
    )


def test_fields_strategy_and_policy_are_those_of_train():
    output = invoke(
        "debug", "--strategy=repeat", "--policy=feature_mlp",
        "--strategy/epochs=7", "--strategy/unroll_len=3",
    ).output  # fmt: skip
    assert "--strategy/name=repeat" in output
    assert "--policy/name=feature_mlp" in output
    assert "--strategy/episodes=7" in output
    assert "--strategy/unroll=3" in output


def test_a_preset_that_is_not_there_is_an_error_with_the_nearest():
    result = invoke("conv_tran")
    assert "Did you mean 'conv_train'" in str(result.exception)


@pytest.mark.parametrize("command", ["train", "tune"])
def test_help_says_how_to_list_presets_and_fields(command):
    result = CliRunner().invoke(application, [command, "--help"])
    assert "keras-l2o presets" in " ".join(result.output.split())


def test_a_name_that_is_empty_is_not_the_default():
    with pytest.raises(config.ConfigurationError, match="policy/name"):
        config.resolve(policy="")
