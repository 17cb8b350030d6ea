"""What a run does to its directory, and what it leaves alone there."""

import errno
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import strategies
from keras_l2o.files import whole
from keras_l2o.strategies import RunDirectory
from keras_l2o.strategies import RunError
from keras_l2o.strategies import checkpoints
from tests.strategies.test_plans import finish

CONFIG = {"run": {"seed": 3}}


def snapshot(folder):
    """All files below a folder with what is in them, and all folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        if path.is_file()
        else None
        for path in folder.rglob("*")
    }


@pytest.fixture
def project(tmp_path):
    """A user's folder, in which there is more than a run."""
    for name in (".git/HEAD", ".venv/bin/python", "src/.hidden/.env"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for name in (".env", "thesis.tex", "checkpoints/mine.weights.h5"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "checkpoints" / ".0-0-0.weights.h5").write_text("hidden")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / ".notes").write_text("hidden")
    return tmp_path


def opened(folder, config=CONFIG):
    directory = RunDirectory(folder)
    directory.open(config)
    directory.close()
    return directory


def test_a_run_in_a_folder_of_others_deletes_nothing_there(project):
    before = snapshot(project)
    for _ in range(2):
        directory = opened(project)
    directory.keep_checkpoints([], set())
    after = snapshot(project)
    assert set(after) - set(before) == {"config.json", "evaluations"}
    assert all(after[name] == value for name, value in before.items())


@pytest.mark.parametrize(
    "name",
    ["summary.csv", "optimizer/x", "2/optimizer/x", "logs/0-0-0.csv",
     "checkpoints/0-1-0.weights.h5", "checkpoints"],
)  # fmt: skip
def test_what_a_new_run_would_overwrite_is_refused(name, tmp_path):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(RunError, match="in the way of a new run"):
        opened(tmp_path)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"run": 3}', '{"format_version": 1}']
)
def test_a_config_of_no_run_is_refused_and_nothing_changed(text, project):
    (project / "config.json").write_text(text)
    scratch = whole.scratch(project / "config.json")
    scratch.touch()
    before = snapshot(project)
    with pytest.raises(RunError, match="is not the configuration") as caught:
        opened(project)
    assert str(project / "config.json") in str(caught.value)
    assert "another directory" in str(caught.value)
    assert snapshot(project) == before


def test_another_run_is_refused_and_nothing_changed(project):
    (project / "config.json").write_text(json.dumps({"run": {"seed": 4}}))
    before = snapshot(project)
    with pytest.raises(RunError, match="seed is 4 there and 3 now"):
        opened(project)
    assert snapshot(project) == before


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("epochs", "episodes"),
        ("validation_epochs", "validation_episodes"),
        ("unroll_len", "unroll"),
        ("annealing_schedule", "imitation_weight"),
    ],
)
def test_a_run_by_an_arguments_former_name_is_taken_up(before, now, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"run": {"strategy": {before: 2}}}))
    text = config.read_text()
    opened(tmp_path, {"run": {"strategy": {now: 2}}})
    assert config.read_text() == text
    with pytest.raises(RunError, match=f"strategy/{now} is 2 there and 3 now"):
        opened(tmp_path, {"run": {"strategy": {now: 3}}})


def test_a_runs_own_scratch_is_cleared_away(tmp_path):
    opened(tmp_path)
    names = ["summary.csv", "config.json", "logs/0-0-0.csv"]
    names.append("checkpoints/0-0-0.weights.h5")
    before = snapshot(tmp_path)
    for name in names:
        whole.scratch(tmp_path / name).touch()
    foreign = whole.scratch(tmp_path / "evaluations" / "conv_train.npz")
    foreign.touch()  # of an evaluation, which may be going on
    opened(tmp_path)
    assert foreign.exists()
    foreign.unlink()
    assert snapshot(tmp_path) == before


def test_only_checkpoints_that_the_rows_name_are_deleted(tmp_path):
    directory = opened(tmp_path)
    plan = strategies.Simple(num_periods=4, depth=1)
    rows = []
    for loss in (3.0, 1.0, 2.0):
        rows.append(finish(plan, rows, plan.next(rows), loss))
    folder = tmp_path / "checkpoints"
    for name in ("0-0-0", "0-1-0", "0-2-0", "0-3-0", "mine"):
        (folder / f"{name}.weights.h5").touch()
    directory.keep_checkpoints(rows, plan.needed(rows))
    assert sorted(os.listdir(folder)) == [
        "0-1-0.weights.h5", "0-2-0.weights.h5", "0-3-0.weights.h5",
        "mine.weights.h5",
    ]  # fmt: skip


def test_a_directory_is_one_runs_at_a_time(tmp_path):
    first = RunDirectory(tmp_path)
    first.open(CONFIG)
    with pytest.raises(RunError, match=f"in use by process {os.getpid()} on"):
        opened(tmp_path)
    assert first.config()["run"] == CONFIG["run"]  # who reads needs no lock
    first.close()
    opened(tmp_path)


def test_a_run_that_was_refused_holds_nothing(tmp_path):
    opened(tmp_path)
    with pytest.raises(RunError, match="another configuration"):
        opened(tmp_path, {"run": {"seed": 4}})
    opened(tmp_path)


def test_a_directory_that_is_a_file_is_named(tmp_path):
    path = tmp_path / "file"
    path.touch()
    for folder in (path, path / "below"):
        with pytest.raises(RunError, match=str(path)):
            opened(folder)
    with pytest.raises(RunError, match="is missing"):
        RunDirectory(path).config()


def test_a_directory_that_may_not_be_written_is_named(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    opened(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("filelock.FileLock.acquire", refuse)
        with pytest.raises(RunError, match="cannot be written: Permission"):
            opened(tmp_path)
    monkeypatch.setattr("pathlib.Path.read_text", refuse)
    with pytest.raises(RunError, match=r"config\.json cannot be read: Perm"):
        opened(tmp_path)


# Checkpoints


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    return model


def test_a_checkpoint_is_loaded_by_its_digest(model, tmp_path):
    kernel = model.layers[0].kernel
    digests = []
    for value in (1.0, 2.0):
        kernel.assign(np.full((3, 2), value))
        name = str(int(value))
        digests.append(checkpoints.save(tmp_path, model, name))
    assert sorted(os.listdir(tmp_path)) == ["1.weights.h5", "2.weights.h5"]
    checkpoints.load(tmp_path, model, "1", digests[0])
    assert float(np.sum(kernel)) == 6.0
    (tmp_path / "1.weights.h5").replace(tmp_path / "2.weights.h5")
    with pytest.raises(RunError, match=r"2\.weights\.h5 is not the checkpoint"):
        checkpoints.load(tmp_path, model, "2", digests[1])
    checkpoints.load(tmp_path, model, "2")  # of a run without digests
    with pytest.raises(RunError, match=r"1\.weights\.h5 is missing"):
        checkpoints.load(tmp_path, model, "1", digests[0])
    (tmp_path / "3.weights.h5").write_bytes(b"no HDF5")
    with pytest.raises(RunError, match=r"3\.weights\.h5 holds no weights"):
        checkpoints.load(tmp_path, model, "3")


FULL = """
import pathlib, resource, sys
import keras
from keras_l2o.strategies import RunError, checkpoints
model = keras.Sequential([keras.Input((300,)), keras.layers.Dense(300)])
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    checkpoints.save(pathlib.Path(sys.argv[1]), model, "0-0-0")
except RunError as error:
    print(error)
"""


def test_a_full_disk_is_a_line_and_no_crash_of_hdf5(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "Exception" not in result.stderr  # of HDF5, at the end
    path = tmp_path / "0-0-0.weights.h5"
    assert result.stdout.startswith(f"{path} cannot be written: File too large")
    assert "goes on from the last finished period" in result.stdout
    assert not os.listdir(tmp_path)


def test_an_optimizer_between_two_names_is_found(tmp_path):
    opened(tmp_path)
    optimizer = keras_l2o.LearnedOptimizer(keras_l2o.policies.Adam())
    for replicate in ("", "1"):
        directory = RunDirectory(tmp_path)
        directory.save_optimizer(optimizer, {}, replicate)
        folder = tmp_path / replicate / "optimizer"
        scratch = whole.scratch(folder)
        scratch.mkdir()
        folder.replace(scratch / "old")
        assert list(directory.optimizers()) == [replicate]
        assert os.listdir(folder.parent).count("optimizer") == 1
        assert not list(folder.parent.glob(".keras*"))
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
