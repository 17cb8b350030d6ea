"""What JAX's programs are made of: one that fails says what changed."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("it reads JAX's programs", allow_module_level=True)

import importlib

import jax
import jax.numpy as jnp
from jax.extend import core
from jax.extend.core import primitives

from keras_l2o.backend import jax_internals

pytestmark = pytest.mark.backend


def equations(function, *args):
    return jax.make_jaxpr(function)(*args).jaxpr.eqns


def test_a_convolutions_parameters_are_those_it_was_called_with():
    image, kernel = jnp.ones((2, 8, 7, 4)), jnp.ones((3, 2, 2, 6))
    (equation,) = equations(
        lambda x, y: jax.lax.conv_general_dilated(
            x,
            y,
            window_strides=(2, 1),
            padding=((1, 2), (3, 4)),
            lhs_dilation=(1, 2),
            rhs_dilation=(2, 1),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=2,
        ),
        image,
        kernel,
    )
    found = jax_internals.convolution(equation)
    assert found.window_strides == (2, 1)
    assert found.padding == ((1, 2), (3, 4))
    assert found.lhs_dilation == (1, 2)
    assert found.rhs_dilation == (2, 1)
    assert tuple(found.dimension_numbers) == (
        (0, 3, 1, 2),  # of batch, feature, space
        (3, 2, 0, 1),  # of output, input, space
        (0, 3, 1, 2),
    )
    assert found.feature_group_count == 2
    assert found.batch_group_count == 1
    assert jax_internals.maximum(equation) is None
    assert jax_internals.called(equation) is None


def test_a_maximums_parameters_are_those_it_was_called_with():
    (equation,) = equations(
        lambda x: jax.lax.reduce_window(
            x, -jnp.inf, jax.lax.max, (2, 3), (1, 2), ((0, 1), (2, 3))
        ),
        jnp.ones((8, 9)),
    )
    found = jax_internals.maximum(equation)
    assert found.window_dimensions == (2, 3)
    assert found.window_strides == (1, 2)
    assert found.padding == ((0, 1), (2, 3))
    assert found.base_dilation == found.window_dilation == (1, 1)
    assert jax_internals.convolution(equation) is None


def test_a_call_within_a_program_has_the_program_called():
    (equation,) = equations(jax.jit(lambda x: jnp.sin(x) * 2.0), jnp.ones(3))
    called = jax_internals.called(equation)
    assert [e.primitive.name for e in called.jaxpr.eqns] == ["sin", "mul"]


@pytest.mark.parametrize(
    "function",
    [
        jnp.cos,
        jnp.linalg.eigh,  # several results
        lambda x: jax.lax.cond(x[0, 0] > 0, jnp.sin, jnp.cos, x),
        jax.nn.relu,  # a derivative of its own
        lambda x: jax.checkpoint(jnp.sin)(x),
        lambda x: jax.lax.scan(lambda c, y: (c + y, c * y), x[0], x),
    ],
)
def test_any_operation_runs_as_it_is(function):
    given = jnp.asarray([[2.0, 1.0], [1.0, 3.0]])
    program = jax.make_jaxpr(function)(given)
    values = dict(zip(program.jaxpr.constvars, program.consts))
    values.update(zip(program.jaxpr.invars, [given]))
    for equation in program.jaxpr.eqns:
        inputs = [
            v.val if isinstance(v, core.Literal) else values[v]
            for v in equation.invars
        ]
        values.update(
            zip(equation.outvars, jax_internals.run(equation, inputs))
        )
    found = [values[v] for v in program.jaxpr.outvars]
    for value, expected in zip(found, jax.tree.leaves(function(given))):
        np.testing.assert_allclose(value, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["conv_general_dilated_p", "reduce_window_max_p", "jit_p"]
)
def test_a_primitive_that_jax_lacks_is_named_at_import(name, monkeypatch):
    monkeypatch.delattr(primitives, name)
    with pytest.raises(ImportError, match=rf"jax .* has no `.*\.{name}`"):
        importlib.reload(jax_internals)


def test_a_parameter_that_jax_lacks_is_named():
    (equation,) = equations(jax.jit(lambda x: x * 2.0), jnp.ones(3))
    bare = equation.replace(params={})
    with pytest.raises(ImportError, match="jit, parameter jaxpr"):
        jax_internals.called(bare)
