"""Where private names may be used, and what is said where one is missing."""

import ast
import configparser
import math
import pathlib
import re

import pytest

from keras_l2o import private_names

ROOT = pathlib.Path(__file__).parent.parent

#: Where other packages' private names are used.
ROOMS = (
    "keras_l2o/keras_internals/",
    "keras_l2o/backend/jax_internals.py",
    "keras_l2o/backend/tensorflow_internals.py",
    "keras_l2o/tuner/keras_tuner_internals.py",
)

#: Public, though they start with an underscore.
PUBLIC = {"_asdict", "_exit", "_field_defaults", "_fields", "_make", "_replace"}


def sources():
    for folder in ("keras_l2o", "keras_l2o_commands", "benchmarks", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            yield name, ast.parse(path.read_text("utf-8"))


def is_private(name):
    return re.fullmatch(r"_[^_].*", name) and name not in PUBLIC


def defined(tree):
    """The names that a file gives to anything."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(
            node.ctx, ast.Store
        ):
            yield node.attr
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or "" for alias in node.names)


def test_private_names_of_others_are_used_in_their_rooms_alone():
    trees = dict(sources())
    own = {name for tree in trees.values() for name in defined(tree)}
    strangers = []
    for path, tree in trees.items():
        if path.startswith(ROOMS):
            continue
        for node in ast.walk(tree):
            name = getattr(node, "attr", None)
            if name and is_private(name) and name not in own:
                strangers.append(f"{path}: {name}")
            module = getattr(node, "module", None) or ""
            if re.match(r"(keras|keras_tuner)\.src\b", module):
                strangers.append(f"{path}: {module}")
            if name == "__internal__":
                strangers.append(f"{path}: {name}")
    assert strangers == []


def test_a_missing_name_says_whose_it_is_and_which_versions_have_it():
    with pytest.raises(ImportError) as caught:
        private_names.take("keras", math, "_nothing")
    lowest, highest = private_names.TRIED["keras"]
    message = str(caught.value)
    assert re.match(r"keras \d+\.\d+\.\d+ has no `math\._nothing`", message)
    assert f"pip install 'keras>={lowest},<={highest}'" in message
    with pytest.raises(ImportError, match=r"has no `keras\.src\.nothing`"):
        private_names.take_module("keras", "keras.src.nothing")


def test_names_are_taken_from_modules_classes_and_objects():
    assert private_names.take("keras", math, "pi") == math.pi
    for owner in (pathlib.PurePath, pathlib.PurePath()):
        with pytest.raises(ImportError, match=r"Path\._nothing`"):
            private_names.take("keras", owner, "_nothing")


def test_a_package_that_pip_does_not_know_is_of_an_unknown_version(monkeypatch):
    monkeypatch.setitem(private_names.TRIED, "keras-l2o-x", ("1", "2"))
    error = private_names.missing("keras-l2o-x", "a.b")
    assert "of an unknown version has no `a.b`" in str(error)


def test_versions_tried_are_the_metadatas_lowest_and_the_pinned_ones():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    text = "\n".join(
        [
            config["options"]["install_requires"],
            *config["options.extras_require"].values(),
        ]
    )
    pins = (ROOT / "constraints.txt").read_text("utf-8")
    for package, tried in private_names.TRIED.items():
        bounds = set(re.findall(rf"(?m)^{package}>=([\w.]+)", text))
        pinned = re.findall(rf"(?m)^{package}==([\w.]+)", pins)
        assert bounds == {tried[0]}, package
        assert pinned == [tried[1]], package
