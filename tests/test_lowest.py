"""The constraints that `make test-lowest` installs."""

import importlib.util
import pathlib

import pytest

PATH = pathlib.Path(__file__).parent.parent / "tools" / "lowest.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("lowest", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_lower_bound_becomes_a_version(tool):
    lines = [
        "numpy>=2.0",
        'zoo>=6.5; python_version < "3.12"',
        "keras-l2o[tuner]",
        "Ape[fruit]>=1.2,<3",
        "numpy>=2.0",
    ]
    assert tool.lowest(lines) == [
        "Ape==1.2",
        "numpy==2.0",
        'zoo==6.5; python_version < "3.12"',
    ]


def test_requirements_are_those_of_the_package_and_of_all_its_extras(tool):
    text = """
[options]
install_requires =
    numpy>=2.0
[options.extras_require]
few =
    ape>=1
many =
    ape>=1
    zoo>=6.5
"""
    found = tool.requirements(text)
    assert found == ["numpy>=2.0", "ape>=1", "ape>=1", "zoo>=6.5"]


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        (["numpy"], "must have a lower bound"),
        (["numpy==2.0"], "must have a lower bound"),
        (["numpy>=2.0", "numpy>=2.1"], "one lower bound in all"),
    ],
)
def test_a_bound_that_is_missing_or_double_is_named(tool, lines, match):
    with pytest.raises(ValueError, match=match):
        tool.lowest(lines)


def test_every_requirement_of_ours_has_one_lower_bound(tool):
    lines = tool.requirements(tool.SETUP.read_text("utf-8"))
    names = [line.partition("==")[0] for line in tool.lowest(lines)]
    assert {"keras", "numpy", "jax", "torch", "tensorflow"} <= set(names)
