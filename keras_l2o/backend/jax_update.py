"""What one step of an optimizer needs of JAX."""

import contextlib
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np

from keras_l2o.backend.jax_devices import on_processor
from keras_l2o.typing import Tensor
from keras_l2o.typing import Variable

#: About how many coordinates of a table go through a rule in one turn of a
#: loop: so many stay in a processor's cache.
TURN = 2**13
#: The same on an accelerator, which starts each operation at a price.
ACCELERATOR_TURN = 2**24


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


class RowsWithGradient(NamedTuple):
    """Which rows of a table have a gradient."""

    gradient: Tensor  # (rows, columns)
    # Their numbers, in order; then the number of rows again and again.
    indices: Tensor
    count: Tensor  # scalar, how many there are
    together: int  # how many of them one turn of a loop takes


def rows_with_gradient(gradient: Tensor) -> RowsWithGradient:
    """Which rows of a table have a gradient that is not zero, for `over_rows`.

    Args:
        gradient: `(rows, columns)`.
    """
    rows, columns = gradient.shape
    # On a processor twice as fast as whether any is not zero.
    there = jnp.max(jnp.abs(gradient), axis=1) != 0
    if not isinstance(gradient, jax.core.Tracer):
        (known,) = np.nonzero(np.asarray(there))
        return RowsWithGradient(gradient, known, len(known), len(known))
    most = TURN if on_processor() else ACCELERATOR_TURN
    together = min(max(most // columns, 1), rows)
    # Each row that has one is put where as many are before it.
    places = jnp.cumsum(there, dtype="int32") - 1
    size = together * -(-rows // together)
    indices = jnp.full((size,), rows, "int32")
    places = jnp.where(there, places, size)
    numbers = jnp.arange(rows, dtype="int32")
    indices = indices.at[places].set(numbers, mode="drop")
    return RowsWithGradient(gradient, indices, jnp.sum(there), together)


def look_at_rows(
    body: Callable, tables: list[Variable], found: RowsWithGradient
) -> tuple[Any, Tensor]:
    """Runs `body(old, gradient)` over the rows that have a gradient.

    Within a compiled function what is kept is not stored: `over_rows` computes
    it again, rather than to fill a table with zeros for it.

    Args:
        body: Function of rows of the tables, a list, and of their gradient. It
            returns a nest of what is to be kept for each row, and a tensor of
            sums over the rows.
        tables: Variables with a first axis of rows.
        found: What `rows_with_gradient` has returned.

    Returns:
        What is kept, for `over_rows` alone, and the sums.
    """
    values = _values(tables)
    if not _traced(found):
        return body(*_rows(values, found, found.indices))
    shape = jax.eval_shape(
        lambda: body(*_rows(values, found, _turn(found, 0)))[1]
    )

    def loop(carry):
        index, sums = carry
        _, more = body(*_rows(values, found, _turn(found, index)))
        return index + 1, sums + more

    start = jnp.int32(0), jnp.zeros(shape.shape, shape.dtype)
    return body, jax.lax.while_loop(_is_left(found), loop, start)[1]


def over_rows(
    body: Callable,
    tables: list[Variable],
    found: RowsWithGradient,
    kept: Any = None,
) -> Tensor:
    """Replaces the rows that have a gradient in place.

    Within a compiled function in a loop over some of them at a time, which
    has as many turns as it takes; the last one's are filled up with zeros.
    Elsewhere over all at once.

    Args:
        body: Function of rows of the tables, a list, of their gradient, and of
            what is kept of them. It returns a list of new rows, and a tensor
            of sums over the rows.
        tables: Variables with a first axis of rows.
        found: What `rows_with_gradient` has returned.
        kept: What `look_at_rows` has returned first for the same tables.
            Defaults to `None`.

    Returns:
        The sums.
    """

    def turn(values, indices):
        old, gradient = _rows(values, found, indices)
        own = kept
        if kept is not None and _traced(found):
            own, _ = kept(old, gradient)
        new, sums = body(old, gradient, own)
        values = [
            value.at[indices].set(rows.astype(value.dtype), mode="drop")
            for value, rows in zip(values, new)
        ]
        return values, sums

    values = _values(tables)
    if not _traced(found):
        values, sums = turn(values, found.indices)
    else:
        shape = jax.eval_shape(lambda: turn(values, _turn(found, 0))[1])

        def loop(carry):
            index, values, sums = carry
            values, more = turn(values, _turn(found, index))
            return index + 1, values, sums + more

        start = jnp.zeros(shape.shape, shape.dtype)
        _, values, sums = jax.lax.while_loop(
            _is_left(found), loop, (jnp.int32(0), values, start)
        )
    for table, value in zip(tables, values):
        table.assign(value)
    return sums


def _traced(found):
    return isinstance(found.gradient, jax.core.Tracer)


def _values(tables):
    return [table.value for table in tables]


def _turn(found, index):
    """The numbers of the rows of one turn."""
    start, count = index * found.together, found.together
    return jax.lax.dynamic_slice(found.indices, (start,), (count,))


def _is_left(found):
    """Whether there is another turn, as a function of the carry."""
    return lambda carry: carry[0] * found.together < found.count


def _rows(values, found, indices):
    """Rows of the tables, and their gradient; zeros where there are no more."""
    old, gradient = jax.tree.map(
        lambda table: table.at[indices].get(mode="fill", fill_value=0),
        (list(values), found.gradient),
    )
    return old, gradient


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


def traced(function: Callable) -> Callable:
    """The function itself: what trains is compiled as a whole here.

    Args:
        function: Maps nests of tensors to a nest of tensors.
    """
    return function


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
