"""The operations of `keras_l2o.backend`: one list, and what some of them do."""

import ast
import inspect
import pathlib

import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import backend

pytestmark = pytest.mark.backend

FOLDER = pathlib.Path(backend.__file__).parent
BACKENDS = ("tensorflow", "jax", "torch")


def offered():
    """Names that `keras_l2o.backend` takes from whichever backend it is."""
    tree = ast.parse((FOLDER / "__init__.py").read_text("utf-8"))
    return sorted(
        node.value.attr
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Attribute)
        and getattr(node.value.value, "id", "") == "_backend"
    )


def functions(name):
    """A backend's functions by name, from its file and those it takes from."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ImportFrom) and node.module.startswith(
            f"keras_l2o.backend.{name}_"
        ):
            other = functions(node.module.rpartition(".")[2])
            found |= {
                alias.asname: other[alias.name]
                for alias in node.names
                if alias.asname
            }
    return found


OPERATIONS = [name for name in offered() if name in functions("tensorflow")]


def test_most_of_what_is_offered_are_functions():
    others = {name for name in offered() if name not in OPERATIONS}
    assert len(OPERATIONS) > 20
    assert all(name[0].isupper() for name in others)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_backend_documents_and_annotates_its_own(name):
    arguments = []
    for which in BACKENDS:
        function = functions(which)[name]
        assert ast.get_docstring(function), which
        assert function.returns is not None, which
        args = function.args.args
        assert all(arg.annotation is not None for arg in args), which
        arguments.append([arg.arg for arg in args])
    assert arguments[0] == arguments[1] == arguments[2]


def test_only_what_makes_a_function_of_an_optimizer_is_given_one():
    given = [
        name
        for name in OPERATIONS
        if "optimizer" in inspect.signature(getattr(backend, name)).parameters
    ]
    # Both take Keras's own, and use what is public.
    assert given == ["functional_optimizer", "stateless_apply"]


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("compiled", [False, True])
def test_walk_needs_no_optimizer(length, compiled):
    rows = np.arange(2 * length, dtype="float32").reshape(length, 2)
    variable = keras.Variable(rows, trainable=False)
    inputs = ops.ones((length, 2))

    def body(old, row, index):
        (value,), (given,) = old, row
        new = value + given * ops.cast(index, "float32")
        return [new], 2.0 * value

    def assign(place, value):
        place.assign(value)

    def step():
        return backend.walk(
            body, [variable], [inputs], length, "float32", assign
        )

    expected = rows + np.arange(length)[:, None]
    outputs = 2.0 * rows
    if not compiled:
        found = step()
    elif keras.backend.backend() == "jax":
        jitted = backend.compiled(
            lambda value: backend.stateless(
                lambda _: step(), ([variable],), ([value],), None
            )
        )
        found, ((value,),) = jitted(variable.value)
        variable.assign(value)
    else:
        found = _traced(step)
    np.testing.assert_allclose(ops.convert_to_numpy(found), outputs)
    np.testing.assert_allclose(ops.convert_to_numpy(variable), expected)


def _traced(step):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(step)()
    return step()


def test_a_sum_of_squares_is_not_finite_beyond_float32():
    tensors = [ops.ones((3,)), 2.0 * ops.ones((2, 2), "bfloat16")]
    assert float(backend.sum_of_squares(tensors)) == pytest.approx(19.0)
    for value in (np.nan, np.inf, 1e20):
        tensors = [ops.ones((3,)), value * ops.ones((2,))]
        assert not np.isfinite(float(backend.sum_of_squares(tensors)))
