"""What is taken from inside JAX: operations of a traced program, as they are.

JAX keeps the right to change these in any version: the primitives that
functions are made of, and the names of their parameters.
"""

from typing import Any
from typing import NamedTuple

from jax.extend import core
from jax.extend.core import primitives

from keras_l2o.private_names import missing
from keras_l2o.private_names import take
from keras_l2o.typing import Tensor

_CONVOLUTION = take("jax", primitives, "conv_general_dilated_p")
_MAXIMUM = take("jax", primitives, "reduce_window_max_p")
_CALL = take("jax", primitives, "jit_p")


class Convolution(NamedTuple):
    """What `jax.lax.conv_general_dilated` was called with."""

    window_strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    dimension_numbers: Any  # (lhs_spec, rhs_spec, out_spec), tuples of axes
    feature_group_count: int
    batch_group_count: int
    precision: Any
    preferred_element_type: Any


class Maximum(NamedTuple):
    """What `jax.lax.reduce_window` was called with, of a maximum."""

    window_dimensions: tuple[int, ...]
    window_strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    base_dilation: tuple[int, ...]
    window_dilation: tuple[int, ...]


def convolution(equation: core.JaxprEqn) -> Convolution | None:
    """The parameters of a convolution; `None` if it is another operation."""
    return _parameters(equation, _CONVOLUTION, Convolution)


def maximum(equation: core.JaxprEqn) -> Maximum | None:
    """The parameters of a maximum over windows; `None` if it is not one."""
    return _parameters(equation, _MAXIMUM, Maximum)


def called(equation: core.JaxprEqn) -> core.ClosedJaxpr | None:
    """The program that a `jax.jit` within a program calls, or `None`."""
    if equation.primitive is not _CALL:
        return None
    return _parameter(equation, "jaxpr")


def run(equation: core.JaxprEqn, inputs: list[Tensor]) -> list[Tensor]:
    """The outputs of an operation as it is."""
    primitive = equation.primitive
    given = take("jax", primitive, "get_bind_params")(equation.params)
    # JAX 0.7 has functions apart from the other parameters.
    functions, others = given if isinstance(given, tuple) else ((), given)
    outputs = primitive.bind(*functions, *inputs, **others)
    return outputs if primitive.multiple_results else [outputs]


def _parameters(equation, primitive, cls):
    if equation.primitive is not primitive:
        return None
    return cls(*(_parameter(equation, name) for name in cls._fields))


def _parameter(equation, name):
    try:
        return equation.params[name]
    except KeyError:
        raise missing(
            "jax", f"{equation.primitive.name}, parameter {name}"
        ) from None
