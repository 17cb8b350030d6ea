"""What a release is checked for, and that this checkout passes."""

import io
import tarfile

import pytest

from keras_l2o.version import __version__
from tests.building import ROOT
from tools import release_check

FOLDERS = (
    ".ci", ".github", "benchmarks", "examples", "held_out", "keras_l2o",
    "keras_l2o_commands", "tests", "tools",
)  # fmt: skip


def packed(path, names):
    """A source distribution with empty files of these names."""
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(f"keras_l2o-1/{name}")
            archive.addfile(member, io.BytesIO())
    return path


def test_the_source_distribution_has_all_that_its_tests_need(wheel, sdist):
    # In a worktree of git `.git` is a file, and a distribution has PKG-INFO.
    names = {path.name for path in ROOT.iterdir() if path.is_file()}
    names -= {".git", "PKG-INFO"}
    names |= {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert release_check.content_faults(wheel, sdist, names) == []
    assert release_check.version_faults(wheel, sdist) == []
    with tarfile.open(sdist) as archive:
        held = archive.getnames()
    assert not [name for name in held if "__pycache__" in name]
    assert f"keras_l2o-{__version__}/tests/conftest.py" in held


def test_what_a_source_distribution_lacks_is_named(tmp_path):
    wheel = tmp_path / "keras_l2o-1-py3-none-any.whl"
    wheel.write_bytes(b"")
    source = packed(tmp_path / "keras_l2o-1.tar.gz", ["README.md"])
    tracked = ["README.md", "unseen/400/run.npz", "tests/conftest.py"]
    (fault,) = release_check.content_faults(wheel, source, tracked)
    assert "lacks 1 files, such as tests/conftest.py" in fault
    assert "MANIFEST.in" in fault
    wheel.write_bytes(bytes(2_000_000))
    (fault,) = release_check.content_faults(wheel, source, ["README.md"])
    assert "must be below 2000000" in fault


def test_a_folder_must_have_one_wheel_and_one_source(tmp_path):
    with pytest.raises(ValueError, match=r"one \*.whl in .* Found: none"):
        release_check.files(tmp_path)
    (tmp_path / "a-1-py3-none-any.whl").touch()
    with pytest.raises(ValueError, match=r"one \*.tar.gz"):
        release_check.files(tmp_path)
    (tmp_path / "a-1.tar.gz").touch()
    (tmp_path / "a-2.tar.gz").touch()
    with pytest.raises(ValueError, match=r"Found: a-1\.tar\.gz, a-2\.tar"):
        release_check.files(tmp_path)


def test_all_versions_must_be_the_packages(tmp_path, monkeypatch):
    (tmp_path / "keras_l2o").mkdir()
    (tmp_path / "keras_l2o/version.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CITATION.cff").write_text("version: 1.2.0\n")
    (tmp_path / "CHANGELOG.md").write_text("## Unreleased\n")
    monkeypatch.setattr(release_check, "ROOT", tmp_path)
    wheel = tmp_path / "keras_l2o-1.2.0-py3-none-any.whl"
    source = tmp_path / "keras_l2o-1.2.0.tar.gz"
    assert release_check.version_faults(wheel, source) == []
    (fault,) = release_check.version_faults(wheel, source, "v1.2.0")
    assert "no heading '## 1.2.0 - YYYY-MM-DD'" in fault
    (tmp_path / "CHANGELOG.md").write_text("## 1.2.0 - 2030-01-31\n")
    assert release_check.version_faults(wheel, source, "v1.2.0") == []
    (fault,) = release_check.version_faults(wheel, source, "v1.3.0")
    assert fault == "the tag is of version 1.3.0, the package of 1.2.0."
    (tmp_path / "CITATION.cff").write_text('version: "1.1.0"\n')
    (fault,) = release_check.version_faults(wheel, source)
    assert "CITATION.cff is of version 1.1.0" in fault
