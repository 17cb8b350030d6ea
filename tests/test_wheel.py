"""What `pip install` brings, beside a checkout that is not there."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).parent.parent
CODE = """
import keras_l2o, pathlib, sys
assert pathlib.Path(keras_l2o.__file__).is_relative_to(sys.argv[1])
names = list(keras_l2o.available()["name"])
assert "min-max/1" in names, names
for name in names:
    keras_l2o.from_hub(name)
from keras_l2o.hub import card_files, formats
assert card_files.stale() == []
assert formats.schema()["type"] == "object"
assert pathlib.Path(keras_l2o.__file__).with_name("py.typed").is_file()
print(keras_l2o.__version__)
"""


def test_the_wheel_carries_the_replicates(tmp_path):
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md",
                 "LICENSE", "MANIFEST.in", "CHANGELOG.md"):  # fmt: skip
        shutil.copy(ROOT / name, source)
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("keras_l2o", "keras_l2o_commands", "pre-trained",
                 "hub_cards"):  # fmt: skip
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
         "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)],
        check=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("keras_l2o-*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(site)
    result = subprocess.run(
        [sys.executable, "-c", CODE, str(site)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
    )
    entry_points = next(site.glob("*.dist-info/entry_points.txt")).read_text()
    assert "keras-l2o = keras_l2o_commands.application:main" in entry_points
    subprocess.run(
        [sys.executable, "-m", "keras_l2o_commands", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=True,
    )
    metadata = next(site.glob("*.dist-info/METADATA")).read_text()
    assert f"Version: {result.stdout.strip()}" in metadata
