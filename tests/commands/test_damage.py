"""Run directories that are not as they should be: one line that helps."""

import errno
import os
import shutil

import pytest

from keras_l2o import cli
from keras_l2o import strategies
from tests.commands.test_run import SHORT
from tests.strategies.test_plans import simulate

ARGUMENTS = ["--presets=digits_train,adam", "--strategy=simple", *SHORT]


def line(capsys, monkeypatch, *arguments):
    """What a command that fails prints; must be a line and no more."""
    monkeypatch.setattr("sys.argv", ["keras-l2o", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert "\n" not in error
    return error


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A directory as `train` leaves it at its start, and a row of some run."""
    from keras_l2o import config

    directory = tmp_path_factory.mktemp("runs") / "run"
    configuration = config.resolve(
        ["digits_train", "adam"],
        None,
        "simple",
        [config.parse_override(argument) for argument in SHORT],
        0,
    )
    files = strategies.RunDirectory(directory)
    files.open({"run": configuration.model_dump(mode="json"), "metadata": {}})
    files.close()
    rows = simulate(strategies.Simple(num_periods=1), [0.5])
    files.write_rows(rows)
    return directory


DAMAGES = {
    "config.json": [b"", b"{", b"[]", b"{}", b'{"run": 3}', b"\xff"],
    "summary.csv": [b"", b"stage,peri", b"\xff\n"],
}


@pytest.mark.parametrize("command", ["train", "resume", "package"])
@pytest.mark.parametrize(
    ("name", "damage"),
    [(name, damage) for name, kinds in DAMAGES.items() for damage in kinds],
)
def test_a_damaged_file_is_named(
    command, name, damage, run, tmp_path, capsys, monkeypatch
):
    if (command, name) == ("package", "summary.csv"):
        pytest.skip("it does not read the rows")
    directory = shutil.copytree(run, tmp_path / "run")
    (directory / name).write_bytes(damage)
    arguments = {
        "train": ["train", f"--directory={directory}", *ARGUMENTS],
        "resume": ["resume", directory],
        "package": ["package", directory, tmp_path / "packed"],
    }[command]
    error = line(capsys, monkeypatch, *arguments)
    assert str(directory / name) in error
    assert "another directory" in error or "new directory" in error
    assert (directory / name).read_bytes() == damage


def test_a_summary_of_another_plan_is_named(run, capsys, monkeypatch):
    error = line(capsys, monkeypatch, "resume", run)
    assert f"{run / 'summary.csv'} is not as the run has written it" in error


@pytest.mark.parametrize(
    ("number", "reason", "way_out"),
    [
        (errno.ENOSPC, "No space left", "Make room"),
        (errno.EROFS, "Read-only file system", "take another directory"),
        (errno.EACCES, "Permission denied", "take another directory"),
        (errno.EIO, "Input/output error", "try again"),
    ],
)
def test_what_the_system_refuses_is_named(
    number, reason, way_out, tmp_path, capsys, monkeypatch
):
    def refuse(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    directory = tmp_path / "run"
    error = line(
        capsys, monkeypatch, "train", f"--directory={directory}", *ARGUMENTS
    )
    assert f"{directory / 'config.json'} cannot be written: {reason}" in error
    assert way_out in error
    assert not os.listdir(directory)


def test_a_directory_that_is_a_file_is_named(tmp_path, capsys, monkeypatch):
    path = tmp_path / "file"
    path.write_text("mine")
    error = line(
        capsys, monkeypatch, "train", f"--directory={path}", *ARGUMENTS
    )
    assert f"{path} is no directory" in error
    for arguments in (["resume", path], ["package", path, tmp_path / "out"]):
        error = line(capsys, monkeypatch, *arguments)
        assert f"{path / 'config.json'} is missing" in error
    assert path.read_text() == "mine"
