"""What one step of an optimizer needs of TensorFlow."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_l2o import keras_internals
from keras_l2o.backend.tensorflow_internals import on_all_replicas
from keras_l2o.backend.tensorflow_internals import on_this_replica
from keras_l2o.typing import Tensor
from keras_l2o.typing import Variable


def read(variable: Variable | Tensor) -> Tensor:
    """The variable's value as a tensor; a tensor as it is.

    `ops.convert_to_tensor` hands TensorFlow's variables back as they are, and
    what is read later from them is the value of that moment.
    """
    if isinstance(variable, keras.Variable):
        variable = variable.value
    return tf.convert_to_tensor(variable)


def put(array: np.ndarray) -> Tensor:
    """An array as a tensor of its type, on Keras's device."""
    return tf.convert_to_tensor(array)


def update_variables(
    step: Callable,
    gradients: list[Tensor],
    variables: list[Variable],
    learning_rate: Tensor,
    strategy: tf.distribute.Strategy,
) -> None:
    """Runs a whole-model step with the gradients of all devices together.

    On every replica of a strategy, each with its copies of the variables and
    the gradients' sum.

    Args:
        step: `(gradients, variables, learning_rate)`, which assigns.
        gradients, variables: Lists of the same length.
        learning_rate: Scalar tensor.
        strategy: The strategy that the optimizer was made under.
    """
    variables = [
        v.value if isinstance(v, keras.Variable) else v for v in variables
    ]
    replica = tf.distribute.get_replica_context()
    if replica is not None:
        gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)

    def on_replicas(distribution, gradients, variables, learning_rate):
        # One update of the first variable that takes the others as its
        # arguments: `extended.update` hands each replica its own copies.
        distribution.extended.update(
            variables[0],
            lambda first, others, gradients, rate: step(
                gradients, [first, *others], rate
            ),
            args=(variables[1:], gradients, learning_rate),
            group=False,
        )

    on_all_replicas(on_replicas, strategy, gradients, variables, learning_rate)


def state_scope(
    strategy: tf.distribute.Strategy, reference: Variable
) -> contextlib.AbstractContextManager:
    """Context in which an optimizer makes state that goes with a variable.

    Outside of a function that is being traced, on the variable's device.

    Args:
        strategy: The strategy that the optimizer was made under.
        reference: Variable whose placement (device, replicas) to share.
    """
    if isinstance(reference, keras.Variable):
        reference = reference.value
    context = contextlib.ExitStack()
    context.enter_context(tf.init_scope())
    context.enter_context(strategy.extended.colocate_vars_with(reference))
    return context


def walk(
    body: Callable,
    variables: list[keras.Variable],
    inputs: list[Tensor],
    length: int,
    dtype: str,
    assign: Callable,
) -> Tensor:
    """Runs `new, output = body(old, row, index)` over variables' first axis.

    In a `tf.while_loop`: each row of the variables is replaced before the
    next one is read, so that memory is taken for one row alone.

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
    if length == 1:
        new, output = body(
            [tf.reshape(read(v), v.shape[1:]) for v in variables],
            [tf.reshape(tensor, tensor.shape[1:]) for tensor in inputs],
            tf.constant(0),
        )
        for variable, value in zip(variables, new):
            assign(variable, tf.reshape(value, variable.shape))
        return output[None]
    places = [on_this_replica(variable.value) for variable in variables]

    def loop(index, outputs):
        old = [place.sparse_read(index) for place in places]
        new, output = body(old, [tensor[index] for tensor in inputs], index)
        for place, value in zip(places, new):
            place.scatter_update(tf.IndexedSlices(value[None], index[None]))
        return index + 1, outputs.write(index, output)

    outputs = tf.TensorArray(
        keras.backend.standardize_dtype(dtype),
        length,
        element_shape=inputs[0].shape[1:],
    )
    _, outputs = tf.while_loop(
        lambda index, outputs: index < length,
        loop,
        (tf.constant(0), outputs),
        maximum_iterations=length,
        parallel_iterations=1,
    )
    return outputs.stack()


def rows_with_gradient(gradient: Tensor | tf.IndexedSlices) -> tuple:
    """Which rows of a table have a gradient that is not zero, for `over_rows`.

    Args:
        gradient: `(rows, columns)`, or slices of rows, some of them twice.
    """
    numbers = None
    if isinstance(gradient, tf.IndexedSlices):
        # Several devices have lost how many columns there are.
        columns = tf.shape(gradient.values)[-1]
        numbers, places = tf.unique(tf.reshape(gradient.indices, (-1,)))
        values = tf.reshape(gradient.values, (-1, columns))
        gradient = tf.math.unsorted_segment_sum(
            values, places, tf.size(numbers)
        )
    there = tf.where(tf.reduce_any(gradient != 0, axis=1))[:, 0]
    indices = there if numbers is None else tf.gather(numbers, there)
    return indices, tf.gather(gradient, there)


def look_at_rows(
    body: Callable, tables: list[Variable], found: tuple
) -> tuple[Any, Tensor]:
    """Runs `body(old, gradient)` over the rows that have a gradient.

    Args:
        body: Function of rows of the tables, a list, and of their gradient. It
            returns a nest of what is to be kept for each row, and a tensor of
            sums over the rows.
        tables: Variables with a first axis of rows.
        found: What `rows_with_gradient` has returned.

    Returns:
        What is kept, for `over_rows` alone, and the sums.
    """
    indices, gradient = found
    return body([p.sparse_read(indices) for p in _places(tables)], gradient)


def over_rows(
    body: Callable, tables: list[Variable], found: tuple, kept: Any = None
) -> Tensor:
    """Replaces the rows that have a gradient in place.

    All at once.

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
    indices, gradient = found
    places = _places(tables)
    old = [place.sparse_read(indices) for place in places]
    new, sums = body(old, gradient, kept)
    for place, rows in zip(places, new):
        place.scatter_update(tf.IndexedSlices(rows, indices))
    return sums


def _places(tables):
    """The variables of this replica, which have `sparse_read`."""
    return [
        on_this_replica(t.value if isinstance(t, keras.Variable) else t)
        for t in tables
    ]


def sum_of_squares(tensors: list[Tensor | tf.IndexedSlices]) -> Tensor:
    """The sum of the squares of all numbers, as a float32.

    Of slices, those of each slice, also where two are of the same row.
    """
    # One operation each that needs no memory for the squares.
    tensors = [
        t.values if isinstance(t, tf.IndexedSlices) else t for t in tensors
    ]
    return 2.0 * tf.add_n(
        [tf.nn.l2_loss(tf.cast(t, "float32")) for t in tensors]
    )


def known(condition: Tensor) -> bool | None:
    """A boolean scalar's value; `None` while a graph is being traced."""
    return bool(condition) if tf.executing_eagerly() else None


def fuses(tensor: Tensor) -> bool:
    """Whether what is computed from it becomes few loops: not in a graph."""
    return False


def materialized(tensor: Tensor) -> Tensor:
    """A tensor that is computed once, however many read it: any tensor."""
    return tensor


def compiled(function: Callable) -> Callable:
    """The function, of tensors alone, with its operations fused by XLA.

    It is traced once for each shape of its arguments.
    """
    return tf.function(function, jit_compile=True, autograph=False)


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

    Of a class without what Keras adds for `tf.distribute`.
    """
    functional = keras_internals.without_distribution(type(optimizer))
    return functional.from_config(optimizer.get_config())


def stateless_apply(optimizer: keras.optimizers.Optimizer) -> Callable:
    """An optimizer's step as a function of values.

    Keras's optimizers go through `tf.distribute` here, which wants variables:
    those of the optimizer take the values for the time of the step, and have
    their own again after it. Not for the body of a `keras.StatelessScope`.

    Args:
        optimizer: The optimizer, built.

    Returns:
        Function of the values of the optimizer's variables, the gradients and
        the values of the variables that it was built for, all lists. It
        returns the new values of the latter and of the former. The gradients
        are the same on every device.
    """
    trained = keras_internals.trained_variables(optimizer)

    def apply(values, gradients, weights):
        variables = [*trained, *optimizer.variables]
        before = [tf.identity(read(variable)) for variable in variables]
        for variable, value in zip(variables, [*weights, *values]):
            variable.assign(value)
        # Which the optimizer sums over the devices.
        devices = tf.distribute.get_strategy().num_replicas_in_sync
        optimizer.apply([g / devices for g in gradients], trained)
        after = [tf.identity(read(variable)) for variable in variables]
        for variable, value in zip(variables, before):
            variable.assign(value)
        return after[: len(trained)], after[len(trained) :]

    return apply
