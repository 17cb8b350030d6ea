"""Every command's help page, as the application itself lists them."""

import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from keras_l2o.cli import application

PROGRAM = typer.main.get_command(application)
COMMANDS = sorted(PROGRAM.commands)
#: What a help page has no need of.
HEAVY = ["keras", "keras_l2o", "tensorflow", "jax", "torch", "numpy", "pandas"]


def page(*arguments):
    result = CliRunner().invoke(
        application, [*arguments, "--help"], env={"COLUMNS": "80"}
    )
    assert result.exit_code == 0, (result.output, result.exception)
    assert all(len(line) <= 80 for line in result.output.splitlines())
    return result.output


def squeezed(text):
    return "".join(text.split())


def test_the_first_page_says_what_each_command_does():
    output = squeezed(page())
    for name, command in PROGRAM.commands.items():
        assert squeezed(name + command.short_help) in output


@pytest.mark.parametrize("command", COMMANDS)
def test_a_help_page_has_an_example_and_every_option_as_it_is_typed(command):
    output = page(command)
    assert f"Example: keras-l2o {command}" in " ".join(output.split())
    for parameter in PROGRAM.commands[command].params:
        assert parameter.help, parameter.name
        assert squeezed(parameter.help) in squeezed(output)


def run(code, *arguments):
    environment = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    ).stdout


MAIN = "from keras_l2o_commands.application import main; main()"


def test_help_is_printed_by_the_program_itself():
    assert "hf://org/repo[/sub/folder]" in run(MAIN, "publish", "--help")


def test_help_takes_less_than_a_second_of_the_processor():
    code = (
        "import atexit, sys, time\n"
        "atexit.register(lambda: print(time.process_time()))\n"
    )
    times = [run(code + MAIN, "--help").split()[-1] for _ in range(3)]
    assert min(map(float, times)) < 1


def test_no_help_page_imports_a_backend():
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from keras_l2o_commands.application import application\n"
        "for command in ['', *sys.argv[1:]]:\n"
        "    arguments = [*command.split(), '--help']\n"
        "    assert CliRunner().invoke(application, arguments).output\n"
        f"print(sorted({set(HEAVY)!r} & set(sys.modules)))\n"
    )
    assert run(code, *COMMANDS).strip() == "[]"
