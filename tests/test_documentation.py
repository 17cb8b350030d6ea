"""Every public name is documented, and its examples run as they stand."""

import doctest
import os
import pathlib
import shutil

import keras
import numpy as np
import pytest

import keras_l2o
from tests.hub.server import Hub
from tools import check_docs

# keras-tuner calls functions of Python's that are on their way out.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:keras_tuner.*"
)

HELD_OUT = pathlib.Path(__file__).parents[1] / "held_out"
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
EXAMPLES = {
    found.name: found.doc
    for found in check_docs.public_names()
    if ">>> " in found.doc
}


@pytest.fixture(scope="module")
def hub_address():
    hub = Hub()
    yield hub.url
    hub.close()


@pytest.fixture
def names(hub_address, tmp_path, monkeypatch):
    """What an example may use without a word about it.

    A few of them are made only where the example names them, which is a
    function of the example's text.
    """
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)
    monkeypatch.setenv("HF_ENDPOINT", hub_address)
    monkeypatch.setenv("HF_TOKEN", "hf_member")

    def made_for(text):
        names = {"keras": keras, "keras_l2o": keras_l2o, "np": np}
        if "model" in text:
            names["model"] = keras.Sequential(
                [keras.Input((4,)), keras.layers.Dense(1)]
            )
            names["x"], names["y"] = np.ones((8, 4)), np.ones((8, 1))
        if "my-optimizer" in text:
            optimizer = keras_l2o.LearnedOptimizer(keras_l2o.policies.Adam())
            keras_l2o.save(optimizer, "my-optimizer")
        if "held_out" in text:
            os.symlink(HELD_OUT, "held_out")
        if "hf://me/repo/mine/1" in text:
            policy = keras_l2o.policies.Adam()
            keras_l2o.save(keras_l2o.LearnedOptimizer(policy), "mine")
            keras_l2o.publish("mine", "hf://me/repo/mine/1")
        if "trainer" in text:
            names["trainer"] = keras_l2o.MetaTrainer(
                student=keras_l2o.policies.Adam(
                    trainable_hyperparameters=["learning_rate"]
                ),
                teachers=[keras_l2o.policies.SGD()],
                problems=["quadratic_10"],
                unroll=2,
                depth=1,
                tasks=1,
            )
        return names

    return made_for


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.usefixtures("few_outer_steps")
def test_the_example_of_a_public_name_runs(name, names, registries):
    text = EXAMPLES[name]
    test = doctest.DocTestParser().get_doctest(text, names(text), name, name, 0)
    output = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    runner.run(test, out=output.append)
    assert not runner.failures, "".join(output)


def test_no_public_name_lacks_documentation():
    lacking = {
        found.name: found.faults
        for found in check_docs.public_names()
        if found.faults
    }
    assert lacking == {}


def test_what_a_docstring_lacks_is_named():
    def function(one, two=2):
        """A function.

        Args:
            two: Int.
        """

    assert check_docs.function_faults(function) == [
        "argument `one`",
        "default of `two`",
        "annotation of `one`",
        "annotation of `two`",
        "annotation of what it returns",
        "an example",
    ]


def test_a_class_without_a_docstring_of_its_own_is_found():
    class Derived(keras_l2o.policies.SGD):
        pass

    assert check_docs.class_faults(Derived) == ["a docstring"]


def test_a_documented_function_lacks_nothing():
    def function(one: int, two: int = 2) -> int:
        """A function.

        Args:
            one: Int.
            two: Int. Defaults
                to `2`.

        Returns:
            Int.

        Example:

        >>> 1 + 1
        2
        """

    assert check_docs.function_faults(function) == []
