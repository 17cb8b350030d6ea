import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import hub
from keras_l2o.files import whole
from keras_l2o.files.exchange import exchange
from keras_l2o.hub import folder as folder_module
from keras_l2o.hub import replacing
from tests.hub.forge import CONTENTS

FILES = {*CONTENTS, "SHA256SUMS"}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.backend
@pytest.mark.quick
def test_save_then_load_is_bit_exact(optimizer, folder):
    loaded = hub.load(folder)
    assert loaded.policy.weights
    for old, new in zip(optimizer.policy.weights, loaded.policy.weights):
        old, new = map(keras.ops.convert_to_numpy, (old, new))
        assert old.dtype == new.dtype == np.float32
        assert old.tobytes() == new.tobytes()
    old, new = optimizer.get_config(), loaded.get_config()
    for key in ("learning_rate", "warmup_steps", "warmup_rate"):
        assert old[key] == new[key]
    assert optimizer.policy.get_config() == loaded.policy.get_config()


@pytest.mark.backend
@pytest.mark.parametrize(
    "policy",
    [
        lambda: keras_l2o.policies.Adam(0.1),
        lambda: keras_l2o.policies.RNNProp(
            units=(4,),
            cell_options={
                "kernel_initializer": keras.initializers.Orthogonal(seed=10**9),
                "recurrent_activation": "hard_sigmoid",
            },
        ),
        lambda: keras.optimizers.Lion(0.1),
        lambda: keras.optimizers.SGD(
            keras.optimizers.schedules.CosineDecay(0.1, 10**6), momentum=0.9
        ),
    ],
    ids=["analytic", "cell_options", "keras_optimizer", "schedule"],
)
def test_every_kind_of_policy_survives_a_folder(policy, tmp_path):
    optimizer = keras_l2o.LearnedOptimizer(policy())
    hub.save(optimizer, tmp_path / "saved")
    loaded = hub.load(tmp_path / "saved").policy
    assert type(loaded) is type(optimizer.policy)
    serialize = keras.saving.serialize_keras_object
    assert serialize(loaded) == serialize(optimizer.policy)


def test_overrides_win_over_the_folder(folder):
    loaded = hub.load(folder, learning_rate=0.5, weight_decay=0.1)
    assert float(loaded.learning_rate) == 0.5
    assert loaded.weight_decay == 0.1
    assert loaded.warmup_steps == 5


def test_metadata_come_back_as_they_were(optimizer, tmp_path):
    metadata = {"seeds": [1, 2], "figures": {"loss": 1e-3}, "note": "é [x]"}
    hub.save(optimizer, tmp_path / "saved", metadata)
    assert folder_module.read_metadata(tmp_path / "saved") == metadata


def test_the_digests_are_in_the_form_of_sha256sum(folder):
    assert set(contents(folder)) == FILES
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def test_equal_optimizers_make_equal_files(optimizer, folder, tmp_path):
    hub.save(optimizer, tmp_path / "again", metadata={"seed": 3})
    assert contents(folder) == contents(tmp_path / "again")


def test_an_existing_folder_is_refused_without_overwrite(optimizer, folder):
    before = contents(folder)
    with pytest.raises(hub.HubError, match="overwrite=True"):
        hub.save(optimizer, folder, metadata={"seed": 4})
    assert contents(folder) == before


def test_an_empty_folder_is_taken(optimizer, tmp_path):
    (tmp_path / "empty").mkdir()
    hub.save(optimizer, tmp_path / "empty")
    hub.load(tmp_path / "empty")


def test_overwrite_replaces_the_optimizer_and_leaves_no_scratch(
    optimizer, folder
):
    hub.save(optimizer, folder, metadata={"seed": 4}, overwrite=True)
    assert folder_module.read_metadata(folder) == {"seed": 4}
    assert os.listdir(folder.parent) == [folder.name]


def test_overwrite_spares_a_folder_that_holds_something_else(optimizer, folder):
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(hub.HubError, match=r"thesis\.tex"):
        hub.save(optimizer, folder, overwrite=True)
    assert (folder / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("make", ["file", "link"])
def test_overwrite_replaces_neither_file_nor_link(
    make, optimizer, folder, tmp_path
):
    target = tmp_path / "target"
    if make == "file":
        target.write_text("mine")
    else:
        target.symlink_to(folder)
    with pytest.raises(hub.HubError, match="no folder"):
        hub.save(optimizer, target, overwrite=True)
    assert target.is_symlink() or target.read_text() == "mine"


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("failing", range(4))
def test_a_failed_save_leaves_the_old_folder(
    failing, exchanges, optimizer, folder, monkeypatch
):
    """Whether it fails in a file or where a folder gets another name."""
    before = contents(folder)
    calls = []

    def failing_at(function):
        def wrapped(*arguments):
            calls.append(function)
            if len(calls) == failing + 3:
                raise KeyboardInterrupt
            return function(*arguments)

        return wrapped

    def cannot(one, other):
        return False

    exchange = replacing.exchange if exchanges else cannot
    monkeypatch.setattr(os, "fsync", failing_at(os.fsync))
    monkeypatch.setattr(replacing, "exchange", failing_at(exchange))
    monkeypatch.setattr(
        pathlib.Path, "replace", failing_at(pathlib.Path.replace)
    )
    if exchanges and failing == 3 and exchange_works(folder.parent):
        hub.save(optimizer, folder, metadata={"seed": 4}, overwrite=True)
        assert len(calls) == 5  # four files, one step
        return
    with pytest.raises(KeyboardInterrupt):
        hub.save(optimizer, folder, metadata={"seed": 4}, overwrite=True)
    assert contents(folder) == before
    assert os.listdir(folder.parent) == [folder.name]


def exchange_works(parent):
    for name in ("one", "other"):
        (parent / name).mkdir()
    works = exchange(parent / "one", parent / "other")
    for name in ("one", "other"):
        (parent / name).rmdir()
    return works


def test_a_kill_between_the_renames_is_mended(folder, optimizer, tmp_path):
    before = contents(folder)
    program = f"""
import os, pathlib, keras_l2o
from keras_l2o.hub import replacing
replacing.exchange = lambda one, other: False
replace = pathlib.Path.replace
def kill(path, target):
    if path.name == "new":
        os._exit(9)
    return replace(path, target)
pathlib.Path.replace = kill
optimizer = keras_l2o.load({str(folder)!r})
keras_l2o.save(optimizer, {str(folder)!r}, overwrite=True)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 9
    assert not folder.exists()
    (scratch,) = whole.scratches(tmp_path, "saved")
    hub.load(folder)
    assert contents(folder) == before
    assert os.listdir(tmp_path) == [folder.name]
    scratch.mkdir()
    folder.replace(scratch / "old")
    with pytest.raises(hub.HubError, match="overwrite=True"):
        hub.save(optimizer, folder)
    assert contents(folder) == before
    hub.save(optimizer, folder, {"seed": 4}, overwrite=True)
    assert os.listdir(tmp_path) == [folder.name]


def test_scratch_of_others_beside_the_folder_stays(optimizer, folder):
    parent = folder.parent
    spared = [whole.scratch(parent / "other"), parent / ".saved.abcd"]
    for path in spared:
        (path / "old").mkdir(parents=True)
        (path / "old" / "config.json").touch()
    mine = whole.scratch(folder)
    (mine / "new").mkdir(parents=True)
    (mine / "new" / "thesis.tex").write_text("years of work")
    (mine / "new" / "config.json").touch()
    hub.save(optimizer, folder, overwrite=True)
    assert all((path / "old" / "config.json").exists() for path in spared)
    assert os.listdir(mine / "new") == ["thesis.tex"]


def test_a_reader_that_a_save_overtakes_reads_again(
    optimizer, folder, monkeypatch
):
    read, saves = folder_module.read_file, []

    def overtaken(path, limit):
        data = read(path, limit)
        if path.name == "metadata.json" and len(saves) < 2:
            saves.append(path)
            metadata = {"seed": 10 + len(saves)}
            hub.save(optimizer, folder, metadata, overwrite=True)
        return data

    monkeypatch.setattr(folder_module, "read_file", overtaken)
    assert folder_module.read_metadata(folder) == {"seed": 12}


def test_a_place_that_cannot_be_written_is_one_line(optimizer, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(hub.HubError, match=r"file/saved cannot be written: "):
        hub.save(optimizer, tmp_path / "file" / "saved")


def test_what_could_not_be_loaded_is_not_saved(optimizer, tmp_path):
    weight = optimizer.policy.weights[0]
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(hub.HubError, match="not finite"):
        hub.save(optimizer, tmp_path / "saved")
    wide = keras_l2o.LearnedOptimizer(
        keras_l2o.policies.RNNProp(units=(4,), epsilon=1e9)
    )
    with pytest.raises(hub.FormatError, match="too large"):
        hub.save(wide, tmp_path / "saved")
    assert not os.listdir(tmp_path)


def test_save_refuses_what_the_format_does_not_hold(tmp_path):
    policy = keras_l2o.policies.Adam()
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    scheduled = keras_l2o.LearnedOptimizer(policy, learning_rate=schedule)
    plain = keras_l2o.LearnedOptimizer(policy)
    target = tmp_path / "saved"
    with pytest.raises(hub.HubError, match="schedule"):
        hub.save(scheduled, target)
    with pytest.raises(hub.HubError, match="LearnedOptimizer"):
        hub.save(keras.optimizers.Adam(), target)
    with pytest.raises(hub.HubError, match="metadata"):
        hub.save(plain, target, metadata=[1])
    with pytest.raises(hub.HubError, match="JSON"):
        hub.save(plain, target, metadata={"array": np.zeros(2)})
    with pytest.raises(hub.TooLarge, match=r"metadata\.json"):
        hub.save(plain, target, metadata={"log": "x" * 2**20})
    assert not target.exists()
