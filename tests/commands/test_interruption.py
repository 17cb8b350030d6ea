import gc
import re
import signal
import subprocess
import sys
import time

import pytest
import typer
from typer.testing import CliRunner

import keras_l2o
from keras_l2o import strategies
from keras_l2o_commands import interruption
from keras_l2o_commands.declare import declare
from keras_l2o_commands.interruption import goes_on
from keras_l2o_commands.interruption import interruptible
from keras_l2o_commands.progress import Progress

#: Periods of a tenth of a second, and many of them.
ENDLESS = """
--presets=digits_train,adam --strategy=simple --problems/0/batch_size=16
--policy/units=[2] --strategy/num_periods=5000 --strategy/episodes=1
--strategy/unroll=2 --strategy/depth=1 --strategy/validation_depth=1
--training/tasks=1 --training/validation_tasks=1
""".split()


@pytest.fixture(autouse=True)
def heard():
    """Of a suite that was started in the background, SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(process, path, number=signal.SIGINT):
    """Sends a signal when there is a file, and waits for the end."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the work has not begun"
        time.sleep(0.05)
    process.send_signal(number)
    return process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("number", "code", "word", "eager"),
    [
        (signal.SIGINT, 130, "interrupted", True),
        (signal.SIGTERM, 143, "terminated", False),
    ],
)
def test_an_interrupted_run_says_what_is_saved_and_the_command_that_goes_on(
    imported, tmp_path, number, code, word, eager
):
    directory = tmp_path / "a run"
    train = imported.start(
        "train", f"--directory={directory}", *ENDLESS, eager=eager
    )
    output, errors = interrupt(train, directory / "summary.csv", number)
    assert train.returncode == code, errors
    assert "Traceback" not in errors
    assert output == ""
    count = len(strategies.RunDirectory(directory).rows())
    assert re.fullmatch(
        f"{word}: {count} periods? (is|are) saved in {directory}. "
        f"Go on with: keras-l2o resume '{directory}'",
        errors.splitlines()[-1],
    )
    if number == signal.SIGINT:
        before = (directory / "summary.csv").stat().st_size
        resume = imported.start("resume", str(directory), eager=eager)
        while (directory / "summary.csv").stat().st_size == before:
            assert resume.poll() is None, resume.communicate()
            time.sleep(0.05)
        _, errors = interrupt(resume, directory)
        assert resume.returncode == 130, errors
        later = len(strategies.RunDirectory(directory).rows())
        assert later > count
        assert f"interrupted: {later} periods are saved" in errors


def test_an_interrupted_evaluation_names_the_command_that_goes_on(
    imported, tmp_path
):
    arguments = [
        "evaluate", "--problem=digits_mlp", f"--directory={tmp_path}",
        "--optimizer=adam", "--repeat=500", "--epochs=1", "--examples=64",
        "--batch-size=32",
    ]  # fmt: skip
    process = imported.start(*arguments)
    path = tmp_path / "evaluations" / "digits_mlp.npz"
    _, errors = interrupt(process, path)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert keras_l2o.evaluation.read(path).runs >= 1
    last = errors.splitlines()[-1]
    assert "interrupted: finished work is stored in" in last
    again = last.partition("Go on with: keras-l2o ")[2].split()
    assert sorted(again) == sorted(arguments)


@pytest.mark.parametrize("command", ["tune", "evaluate", "baseline",
                                     "gridsearch"])  # fmt: skip
def test_long_commands_catch_an_interruption_wherever_it_comes(
    tmp_path, monkeypatch, command
):
    from keras_l2o import config
    from keras_l2o import evaluation
    from keras_l2o.cli import application

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(config, "resolve", interrupted)
    for name in ("evaluate", "baselines", "gridsearch"):
        monkeypatch.setattr(evaluation, name, interrupted)
    arguments = [command, f"--directory={tmp_path}"]
    if command != "tune":
        arguments += ["--problem=digits_mlp"]
    if command == "evaluate":
        arguments += ["--optimizer=adam"]
    result = CliRunner().invoke(application, arguments)
    assert result.exit_code == 130
    assert f"Go on with: keras-l2o {command} " in result.stderr


def test_what_is_typed_again_is_what_was_typed():
    application = typer.Typer()

    def work(
        context: typer.Context,
        directory: str = typer.Option(),
        weight: float = typer.Option(1.0),
        count: int = typer.Option(5),
        name: str = typer.Option("x"),
        flag: bool = typer.Option(False, "--flag"),
        two: bool = True,
    ):
        """Works."""
        raise KeyboardInterrupt

    declare(application, goes_on(work), takes_fields=True)
    given = [
        "--directory=d", "--weight=0.0", "--name=", "--flag", "--no-two",
        "--a/b=0",
    ]  # fmt: skip
    result = CliRunner().invoke(application, given)
    assert result.exit_code == 130
    assert f"keras-l2o work {' '.join(given)}" in result.stderr


def test_an_interruption_that_a_library_makes_an_error_of_is_still_one(capsys):
    def step():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("a step was cut off") from None

    with pytest.raises(typer.Exit) as info, interruptible("all is saved"):
        step()
    assert info.value.exit_code == 130
    assert capsys.readouterr().err == "interrupted: all is saved\n"


def test_an_error_without_an_interruption_stays_an_error():
    with pytest.raises(RuntimeError, match="of its own"), interruptible("x"):
        raise RuntimeError("of its own")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_handlers_of_signals_are_put_back(number):
    before = signal.getsignal(number)
    with interruptible("nothing"):
        assert signal.getsignal(number) is not before
    assert signal.getsignal(number) is before


def test_an_interruption_that_nothing_heard_of_comes_with_the_next_move(
    monkeypatch,
):
    class Finalized:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def work():
        with Progress("work", None) as progress:
            progress.move(1, "before")
            Finalized()
            progress.move(2, "after")

    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    with pytest.raises(typer.Exit) as info, interruptible("all is saved"):
        work()
    assert info.value.exit_code == 130
    assert not ignored


def test_a_signal_in_a_callback_is_neither_reported_there_nor_lost(
    monkeypatch,
):
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)

    def collected(phase, _):
        if phase == "start":
            gc.callbacks.remove(collected)
            signal.raise_signal(signal.SIGINT)

    def broken(phase, _):
        gc.callbacks.remove(broken)
        raise KeyError("not of a signal")

    def work():
        gc.callbacks.append(collected)
        gc.collect()
        gc.callbacks.append(broken)
        gc.collect()
        interruption.check()

    with pytest.raises(typer.Exit) as ended, interruptible("all is saved"):
        work()
    assert ended.value.exit_code == 130
    assert [lost.exc_type for lost in reported] == [KeyError]
    assert sys.unraisablehook == reported.append


#: A process that would crash if Python took itself apart in it.
INTERRUPTED = """
import atexit
import os
import signal
import subprocess
import sys
from keras_l2o_commands import application
from keras_l2o_commands import interruption

class Last:
    def __del__(self, abort=os.abort):
        abort()

@application.application.command()
def work():
    atexit.register(print, "registered")
    with interruption.interruptible("all is saved"):
        signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.last = Last()
sys.argv = ["keras-l2o", "work"]
application.main()
"""


def test_an_interrupted_process_ends_before_python_takes_itself_apart():
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True
    )
    assert ended.returncode == 130, ended.stderr
    assert ended.stdout == "registered\n"
    assert ended.stderr == "interrupted: all is saved\n"
