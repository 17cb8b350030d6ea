"""Each example, in its short form, learns."""

import pathlib
import runpy

import keras
import numpy as np
import pytest

import keras_l2o

pytestmark = pytest.mark.backend

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
#: Those that need one backend.
OF_BACKEND = {
    "custom_loop_jax": "jax",
    "custom_loop_tensorflow": "tensorflow",
    "gan": "tensorflow",
}
#: Those that run operation by operation here, which TensorFlow alone does as
#: fast: how a training is compiled is what other tests try.
EAGER = ("character_transformer", "fine_tuning", "vit_fashion_mnist")
#: Those that are tried on one backend.
TRIED_ON = {
    **OF_BACKEND,
    **dict.fromkeys(EAGER, "tensorflow"),
    "lstm": "tensorflow",
    "multi_optimizer": "tensorflow",
}
NAMES = (
    "character_transformer", "custom_loop_jax", "custom_loop_tensorflow",
    "fine_tuning", "gan", "lstm", "multi_optimizer", "tabular",
    "vit_fashion_mnist",
)  # fmt: skip
#: They have tests of their own, or are what the others share.
OTHERS = {"publish", "python_source", "side_by_side", "tune_perturbation"}


@pytest.fixture
def main(monkeypatch):
    """Function that gives an example's `main`."""
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def of(name):
        needed = TRIED_ON.get(name, keras.backend.backend())
        if keras.backend.backend() != needed:
            pytest.skip(f"for {needed}")
        return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]

    return of


@pytest.fixture
def uncompiled(monkeypatch):
    """The function that a loop on TensorFlow compiles, as it is."""
    import tensorflow as tf

    compiled = tf.function
    # Keras calls it with options.
    monkeypatch.setattr(
        tf,
        "function",
        lambda *functions, **options: (
            compiled(*functions, **options) if options else functions[0]
        ),
    )


@pytest.fixture
def clothes(monkeypatch):
    """Digits in the size of Fashion-MNIST, which nobody has to prepare."""
    digits = keras_l2o.problems.load_dataset("digits")

    def large(images):
        images = images.repeat(3, axis=1).repeat(3, axis=2)
        return np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)])

    digits = digits._replace(
        x_train=large(digits.x_train), x_validation=large(digits.x_validation)
    )
    monkeypatch.setattr(
        keras_l2o.problems,
        "load_dataset",
        lambda name: {"fashion_mnist": digits}[name],
    )


def test_all_examples_are_tested():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*NAMES, *OTHERS}


@pytest.mark.parametrize("name", NAMES)
def test_an_example_learns(name, main, request, capsys):
    run = main(name)
    if name == "vit_fashion_mnist":
        request.getfixturevalue("clothes")
    if name in EAGER:
        request.getfixturevalue("few_outer_steps")
    if name == "custom_loop_tensorflow":
        request.getfixturevalue("uncompiled")
    runs = run(["--short"])
    assert len(runs) >= 2
    for seeds in runs.values():
        for losses, figures in seeds:
            assert np.isfinite([*losses, *figures.values()]).all()
            assert losses[-1] < losses[0]
    printed = capsys.readouterr().out
    assert all(name.split(", ")[-1] in printed for name in runs)
    assert "minutes of CPU" in printed


def test_without_fashion_mnist_a_line_says_how_to_get_it(main, monkeypatch):
    run = main("vit_fashion_mnist")

    def load(name):
        raise keras_l2o.problems.DatasetError("run `make fashion-mnist`")

    monkeypatch.setattr(keras_l2o.problems, "load_dataset", load)
    with pytest.raises(SystemExit, match="make fashion-mnist"):
        run(["--short"])


@pytest.mark.parametrize("name", OF_BACKEND)
def test_an_example_for_one_backend_says_so_on_others(name, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    if keras.backend.backend() == OF_BACKEND[name]:
        pytest.skip("its own")
    run = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]
    with pytest.raises(SystemExit, match=f"KERAS_BACKEND={OF_BACKEND[name]}"):
        run(["--short"])
