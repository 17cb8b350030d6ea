"""What one step of an optimizer needs of torch."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch

from keras_l2o.backend.torch_program import is_tracing
from keras_l2o.typing import Tensor
from keras_l2o.typing import Variable


def read(variable: Variable | Tensor) -> Tensor:
    """The variable's value as a tensor; a tensor as it is.

    The value is one of no derivative's graph.
    """
    if isinstance(variable, keras.Variable):
        return variable.value.detach()
    return variable


def put(array: np.ndarray) -> Tensor:
    """An array as a tensor of its type, on Keras's device."""
    return keras.ops.convert_to_tensor(array)


def update_variables(
    step: Callable,
    gradients: list[Tensor],
    variables: list[Variable],
    learning_rate: Tensor,
    strategy: None,
) -> None:
    """Runs a whole-model step with the gradients of all devices together.

    There is one device. The step is in no derivative's graph.

    Args:
        step: `(gradients, variables, learning_rate)`, which assigns.
        gradients, variables: Lists of the same length.
        learning_rate: Scalar tensor.
        strategy: TensorFlow's alone.
    """
    with torch.no_grad():
        step(gradients, variables, learning_rate)


def state_scope(
    strategy: None, reference: Variable
) -> contextlib.AbstractContextManager:
    """Context in which an optimizer makes state that goes with a variable.

    An empty one: Keras puts all variables on one device.
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

    Each row is replaced in place before the next one is read.

    Args:
        body: The function of one row. `old`, `new` are lists of tensors, `row`
            and `output` a list of tensors and a tensor, `index` an int32
            scalar.
        variables: Variables with a first axis of `length`.
        inputs: Tensors with a first axis of `length`. An output has the shape
            of the first one's rows.
        length: The number of rows.
        dtype: The outputs' type, which they have by themselves.
        assign: `(variable, value)`; not called, for rows are copied in place.

    Returns:
        The outputs, stacked along a new first axis.
    """
    outputs = []
    for index in range(length):
        places = [variable.value[index] for variable in variables]
        number = keras.ops.convert_to_tensor(index, "int32")
        new, output = body(places, [tensor[index] for tensor in inputs], number)
        for place, value in zip(places, new):
            place.copy_(value)
        outputs.append(output)
    return outputs[0][None] if length == 1 else torch.stack(outputs)


def rows_with_gradient(gradient: Tensor) -> tuple:
    """Which rows of a table have a gradient that is not zero, for `over_rows`.

    Args:
        gradient: `(rows, columns)`.
    """
    indices = (gradient != 0).any(dim=1).nonzero()[:, 0]
    return indices, gradient[indices]


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
    return body([t.value.detach()[indices] for t in tables], gradient)


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
    places = [table.value.detach() for table in tables]
    new, sums = body([p[indices] for p in places], gradient, kept)
    for place, rows in zip(places, new):
        place.index_copy_(0, indices, rows)
    return sums


def sum_of_squares(tensors: list[Tensor]) -> Tensor:
    """The sum of the squares of all numbers, as a float32.

    By norms, which need no memory for the squares.
    """
    tensors = [tensor.float() for tensor in tensors]
    return torch.nn.utils.get_total_norm(tensors).square()


def known(condition: Tensor) -> bool:
    """A boolean scalar's value: nothing is compiled here."""
    return bool(condition)


def fuses(tensor: Tensor) -> bool:
    """Whether what is computed from it becomes few loops: `torch.compile`."""
    return is_tracing()


def materialized(tensor: Tensor) -> Tensor:
    """A tensor that is computed once, however many read it: any tensor."""
    return tensor


def compiled(function: Callable) -> Callable:
    """The function itself: torch runs it operation by operation."""
    return function


def functional_optimizer(
    optimizer: keras.optimizers.Optimizer,
) -> keras.optimizers.Optimizer:
    """Copy of a Keras optimizer on which `stateless_apply` works.

    And leaves its arguments as they are.
    """
    copy = type(optimizer).from_config(optimizer.get_config())
    copy.stateless_apply = stateless_apply(copy)
    return copy


def stateless_apply(optimizer: keras.optimizers.Optimizer) -> Callable:
    """An optimizer's step as a pure function, of tensors of its own.

    Args:
        optimizer: The optimizer, built.

    Returns:
        Function of the values of the optimizer's variables, the gradients and
        the values of the variables that it was built for, all lists. It
        returns the new values of the latter and of the former.
    """
    apply = optimizer.stateless_apply

    def without_side_effects(optimizer_variables, gradients, variables):
        # Torch's optimizers update in place: give them tensors of their own.
        with torch.no_grad():
            return apply(
                [v.clone() for v in optimizer_variables],
                [g if g is None else g.clone() for g in gradients],
                [v.clone() for v in variables],
            )

    return without_side_effects
