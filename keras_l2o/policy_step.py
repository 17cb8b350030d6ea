"""One step of a `LearnedOptimizer`, on one replica."""

import functools
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_l2o import backend
from keras_l2o import keras_internals
from keras_l2o.typing import Tensor
from keras_l2o.typing import Variable


def make(
    optimizer: Any,
    state: Any,
    indices: Sequence[int],
    decays: Sequence[float | None],
    gradients: Sequence[Tensor],
    variables: Sequence[Variable],
    learning_rate: Tensor,
) -> None:
    """Updates variables and state.

    Args:
        optimizer: The `LearnedOptimizer`.
        state: Its `FlatState`, `TensorState` or `WithTables`.
        indices: List of ints. The positions of the variables among those that
            the optimizer was built with; the others have no gradient in this
            step.
        decays: List of floats, the share of each variable that decays at a
            learning rate of 1, or `None`.
        gradients: List of tensors.
        variables: List of variables, of the same length.
        learning_rate: Scalar tensor.
    """
    # Other sparse gradients become dense, because the policy's state changes
    # for rows without gradient, too.
    gradients = [
        gradient
        if index in state.tables
        else ops.reshape(ops.convert_to_tensor(gradient), variable.shape)
        for index, gradient, variable in zip(indices, gradients, variables)
    ]
    counts = None
    if optimizer.skip_nonfinite:
        # The sum is finite unless a number is not, or is above some 1e19.
        counts = ops.isfinite(backend.sum_of_squares(gradients))
        skipped = 1 - ops.cast(counts, "int32")
        optimizer.assign_add(optimizer.skipped_steps, skipped)
        known = backend.known(counts)
        if known is not None:
            if not known:
                return
            counts = None
    subtracted = functools.partial(_subtracted, learning_rate, counts)
    parameters = keras_internals.trained_variables(optimizer)
    all_gradients: list[Any] = [None] * len(parameters)
    clock = state.clock() if state.tables else None
    others = []
    for index, gradient, variable, decay in zip(
        indices, gradients, variables, decays
    ):
        if index in state.tables:
            state.tables[index].step(
                gradient,
                variable,
                functools.partial(subtracted, decay),
                counts,
                clock,
            )
            continue
        all_gradients[index] = gradient
        parameters[index] = backend.read(variable)
        others.append((index, decay, variable))
    updates = state.step(all_gradients, parameters, counts)
    for index, decay, variable in others:
        change = subtracted(decay, updates[index], parameters[index])
        optimizer.assign_sub(variable, ops.cast(change, variable.dtype))


def _subtracted(learning_rate, counts, decay, update, parameter):
    """What a step subtracts from a parameter, or from some of its rows."""
    rate = ops.cast(learning_rate, update.dtype)
    if decay is not None:
        decayed = decay * ops.cast(parameter, update.dtype)
        if counts is not None:
            decayed = decayed * ops.cast(counts, update.dtype)
        update = update + decayed
    return rate * update
