"""What one step of an optimizer needs of JAX."""

import contextlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import keras
import numpy as np

from keras_l2o.backend.jax_devices import on_processor
from keras_l2o.typing import Tensor
from keras_l2o.typing import Variable


def read(variable: Variable | Tensor) -> Tensor:
    """The variable's value as a tensor; a tensor as it is."""
    if isinstance(variable, keras.Variable):
        return variable.value
    return variable


def put(array: np.ndarray) -> Tensor:
    """An array as a tensor of its type, on Keras's device."""
    # What `jax.numpy` makes of an array is compiled for each shape.
    return jax.device_put(array)


def update_variables(
    step: Callable,
    gradients: list[Tensor],
    variables: list[Variable],
    learning_rate: Tensor,
    strategy: None,
) -> None:
    """Runs a whole-model step with the gradients of all devices together.

    The step itself: one program is of all devices.

    Args:
        step: `(gradients, variables, learning_rate)`, which assigns.
        gradients, variables: Lists of the same length.
        learning_rate: Scalar tensor.
        strategy: TensorFlow's alone.
    """
    step(gradients, variables, learning_rate)


def state_scope(
    strategy: None, reference: Variable
) -> contextlib.AbstractContextManager:
    """Context in which an optimizer makes state that goes with a variable.

    An empty one: a variable's layout says where it lies.
    """
    return contextlib.nullcontext()


def walk(
    body: Callable,
    variables: list[keras.Variable],
    inputs: list[Tensor],
    length: int,
    dtype: str,
    assign: Callable,
) -> Tensor:
    """Runs `new, output = body(old, row, index)` over variables' first axis.

    Within a compiled function in a `jax.lax.fori_loop`, which replaces row
    after row in place, so that memory is taken for one row alone; elsewhere
    row by row, and the whole once more.

    Args:
        body: The function of one row. `old`, `new` are lists of tensors, `row`
            and `output` a list of tensors and a tensor, `index` an int32
            scalar.
        variables: Variables with a first axis of `length`.
        inputs: Tensors with a first axis of `length`. An output has the shape
            of the first one's rows.
        length: The number of rows.
        dtype: The outputs' type.
        assign: `(variable, value)`, which puts a value into a variable.

    Returns:
        The outputs, stacked along a new first axis.
    """
    values = [variable.value for variable in variables]
    dtypes = [value.dtype for value in values]
    if length == 1:
        new, output = body(
            [v.reshape(v.shape[1:]) for v in values],
            [x.reshape(x.shape[1:]) for x in inputs],
            jnp.int32(0),
        )
        values, outputs = [v[None] for v in new], output[None]
    elif not any(isinstance(x, jax.core.Tracer) for x in [*values, *inputs]):
        # A loop outside of what is compiled would be compiled in every call.
        rows = [
            body([v[i] for v in values], [x[i] for x in inputs], jnp.int32(i))
            for i in range(length)
        ]
        values, outputs = jax.tree.map(lambda *row: jnp.stack(row), *rows)
    else:
        put = jax.lax.dynamic_update_index_in_dim

        def take(arrays, index):
            return [
                jax.lax.dynamic_index_in_dim(array, index, keepdims=False)
                for array in arrays
            ]

        def old_of(rows):
            return list(map(_from_bits, rows, dtypes))

        def loop(index, carry):
            # A row is read one step ahead: fused with what replaces it, the
            # read would make the compiler copy the whole in every step.
            values, outputs, old = carry
            new, output = body(old_of(old), take(inputs, index), index)
            values = [
                put(v, _as_bits(row), index, 0) for v, row in zip(values, new)
            ]
            ahead = take(values, jnp.minimum(index + 1, length - 1))
            return values, put(outputs, output, index, 0), ahead

        # On a processor the compiler has no updates of 16 bits of a float: it
        # would make the whole array one of 32 bits and back, for each row.
        values = list(map(_as_bits, values))
        outputs = jnp.zeros(inputs[0].shape, dtype)
        values, outputs, _ = jax.lax.fori_loop(
            0, length, loop, (values, outputs, take(values, 0))
        )
        values = old_of(values)
    for variable, value in zip(variables, values):
        assign(variable, value)
    return outputs


def _as_bits(array):
    if array.dtype.itemsize != 2 or not on_processor():
        return array
    return jax.lax.bitcast_convert_type(array, jnp.uint16)


def _from_bits(array, dtype):
    if array.dtype == dtype:
        return array
    return jax.lax.bitcast_convert_type(array, dtype)


def sum_of_squares(tensors: list[Tensor]) -> Tensor:
    """The sum of the squares of all numbers, as a float32.

    The compiler fuses squares and sum: no memory for the squares.
    """
    return sum(jnp.sum(jnp.square(jnp.float32(tensor))) for tensor in tensors)


def known(condition: Tensor) -> bool | None:
    """A boolean scalar's value; `None` while a function is being traced."""
    return None if isinstance(condition, jax.core.Tracer) else bool(condition)


def fuses(tensor: Tensor) -> bool:
    """Whether what is computed from it becomes few loops: when it is traced."""
    return isinstance(tensor, jax.core.Tracer)


def materialized(tensor: Tensor) -> Tensor:
    """A tensor that the compiler computes once, however many read it.

    Elsewhere than on a processor, where a loop does not begin at a price: it
    might be fused with each of its readers.
    """
    return tensor if on_processor() else jax.lax.optimization_barrier(tensor)


def compiled(function: Callable) -> Callable:
    """The function, of tensors alone, with its operations fused by XLA.

    It is traced once for each shape of its arguments.
    """
    return jax.jit(function)


def functional_optimizer(
    optimizer: keras.optimizers.Optimizer,
) -> keras.optimizers.Optimizer:
    """Copy of a Keras optimizer on which `stateless_apply` works.

    Every optimizer is one on JAX.
    """
    return type(optimizer).from_config(optimizer.get_config())


def stateless_apply(optimizer: keras.optimizers.Optimizer) -> Callable:
    """An optimizer's step as a pure function: Keras's own.

    Args:
        optimizer: The optimizer, built.

    Returns:
        Function of the values of the optimizer's variables, the gradients and
        the values of the variables that it was built for, all lists. It
        returns the new values of the latter and of the former.
    """
    return optimizer.stateless_apply
