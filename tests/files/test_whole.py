import os

import pytest

from keras_l2o.files import whole
from keras_l2o.files.exchange import exchange

pytestmark = pytest.mark.quick


def test_a_file_is_there_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "new" / "file"
    whole.write(path, b"one")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        whole.write(path, b"two")
    assert path.read_bytes() == b"one"
    assert os.listdir(path.parent) == ["file"]


def test_two_writers_of_a_file_have_scratch_of_their_own(tmp_path):
    assert whole.scratch(tmp_path / "a") != whole.scratch(tmp_path / "a")


def test_only_scratch_of_ones_own_files_is_swept(tmp_path):
    own = whole.scratch(tmp_path / "mine.csv")
    spared = [
        whole.scratch(tmp_path / "yours.csv"),
        tmp_path / ".keras_l2o-1-mine.csv",
        tmp_path / ".mine.csv",
        tmp_path / ".env",
        tmp_path / "mine.csv",
    ]
    for path in (own, *spared):
        path.touch()
    whole.sweep(tmp_path, whole.exactly("mine.csv"))
    assert not own.exists()
    assert all(path.exists() for path in spared)


def test_two_folders_are_exchanged_in_one_step(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this system cannot")
    assert os.listdir(tmp_path / "a") == ["b"]
    assert not exchange(tmp_path / "a", tmp_path / "none")
