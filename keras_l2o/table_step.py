"""One step of a table of which it sees a few rows, as its policy makes it."""

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.typing import Tensor


class TableStep:
    """What a policy has of a table in one step, and may do to it.

    Args:
        state: The table's `TableState`; other arguments are of its `step`.
    """

    def __init__(self, state, gradient, variable, subtracted, counts, step):
        self.state, self.variable = state, variable
        self.shape, self.tensors = state.shape, state.tensors
        self.subtracted, self.counts, self.now = subtracted, counts, step
        self.dtype = state.optimizer.policy.variable_dtype
        self.found = backend.rows_with_gradient(gradient)
        self.whole = [backend.read(leaf) for leaf in state.whole]
        self.tables = [state.rows, state.last, variable]

    def parameter(self) -> Tensor:
        """The whole table."""
        return backend.read(self.variable)

    def look(self, function: Callable) -> tuple[Any, Tensor]:
        """Computes something from rows before any is updated.

        Args:
            function: `(gradient, parameter, tensor)`, all of some rows, that
                returns a nest of what is to be kept of each, and a tensor of
                what is to be summed.

        Returns:
            What is kept, for `step` alone, and the sums over all rows.
        """

        def body(old, gradient):
            return function(*self._arguments(gradient, *old))

        return backend.look_at_rows(body, self.tables, self.found)

    def step(self, function: Callable, kept: Any = None) -> Tensor:
        """Updates rows and their states.

        Args:
            function: `(gradient, parameter, tensor, kept)`, all of some rows,
                that returns an update and the new state.
            kept: What `look` has returned first. Defaults to `None`.

        Returns:
            By how much the sum of the parameters' squares has grown.
        """

        def body(old, gradient, kept):
            rows, last, parameter = old
            arguments = self._arguments(gradient, *old)
            update, tensor = function(*arguments, kept)
            change = self.subtracted(update, arguments[1])
            moved = parameter - ops.cast(change, parameter.dtype)
            after = ops.zeros_like(last) + self.now + 1
            new = [self.state.pack(tensor, rows), after, moved]
            if self.counts is not None:
                new = numerics.select(self.counts, new, list(old))
            growth = ops.square(ops.cast(new[2], self.dtype))
            return new, ops.sum(growth - ops.square(arguments[1]))

        return backend.over_rows(body, self.tables, self.found, kept)

    def _arguments(self, gradient, rows, last, parameter):
        """What a policy reads of some rows."""
        tensor = self.state.unpack(rows, self.whole)
        tensor = self.state.rested(tensor, self.now, last)
        policy = self.state.optimizer.policy
        return (
            policy.cast_gradient(gradient),
            ops.cast(parameter, self.dtype),
            tensor,
        )
