"""What `pip install` brings, beside a checkout that is not there."""

import os
import pathlib
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).parents[1]
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


def test_the_wheel_is_small_and_whole(wheel):
    assert wheel.stat().st_size < 2_000_000
    with zipfile.ZipFile(wheel) as file:
        held = set(file.namelist())
    files = {
        path.relative_to(ROOT).as_posix()
        for name in ("keras_l2o", "keras_l2o_commands")
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in held if ".dist-info/" not in name} == files


def test_the_wheel_carries_the_replicates(wheel, tmp_path):
    site = tmp_path / "site"
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
    assert "keras-l2o = keras_l2o_commands.__main__:main" in entry_points
    subprocess.run(
        [sys.executable, "-m", "keras_l2o_commands", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=True,
    )
    metadata = next(site.glob("*.dist-info/METADATA")).read_text()
    assert f"Version: {result.stdout.strip()}" in metadata
