"""The files of a release, made once for all tests of a session."""

import os
import pathlib
import shutil
import subprocess
import sys

import filelock

#: What lies in a checkout, and is no part of it.
NOT_LINKED = {".git", "build", "dist", "results"}
ROOT = pathlib.Path(__file__).parent.parent


def wheel(tmp_path_factory):
    """Path of the wheel of what is checked out, which is built if need be."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with filelock.FileLock(shared / "wheel.lock"):
        if not list((shared / "wheel").glob("*.whl")):
            _build(shared / "source", shared / "wheel")
    (path,) = (shared / "wheel").glob("keras_l2o-*.whl")
    return path


def sdist(tmp_path_factory):
    """Path of the source distribution of what is checked out."""
    folder = tmp_path_factory.mktemp("sdist")
    # In a folder of links, since building leaves folders in the source.
    source = folder / "source"
    source.mkdir()
    for path in ROOT.iterdir():
        if path.name in NOT_LINKED or path.suffix == ".egg-info":
            continue
        (source / path.name).symlink_to(path)
    code = (
        "from setuptools import build_meta as build; import sys;"
        "build.build_sdist(sys.argv[1])"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("keras_l2o-*.tar.gz")
    return path


def _build(source, target):
    # In a copy, since building leaves folders in the source.
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md",
                 "LICENSE", "MANIFEST.in", "CHANGELOG.md"):  # fmt: skip
        shutil.copy(ROOT / name, source)
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("keras_l2o", "keras_l2o_commands"):
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
         "--no-build-isolation", "--wheel-dir", str(target), str(source)],
        check=True,
    )  # fmt: skip
