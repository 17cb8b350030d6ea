"""Keeps the state of tables of which a step sees a few rows.

Rows of an embedding that a batch does not look up have no gradient. Here they
wait: they stay where they are, and what their averages have lost is made up
when they have a gradient again. So a step costs as much as the rows that it
has, however many others there are.
"""

import math
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.policy import float_step
from keras_l2o.state_variables import add
from keras_l2o.state_variables import scope
from keras_l2o.table_step import TableStep
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor
from keras_l2o.typing import Variable

#: A table of fewer rows is updated as a whole.
LEAST_ROWS = 4096


def are_tables(optimizer: Any, variables: Sequence[Variable]) -> list[bool]:
    """Which variables are tables whose rows are to wait.

    Args:
        optimizer: The `LearnedOptimizer`.
        variables: List of the variables that it trains.
    """
    waits = optimizer.lazy_embeddings
    if waits is None:
        waits = backend.on_processor()
    parallel = keras.distribution.distribution()
    if (
        not waits
        or not optimizer.policy.rests
        or optimizer.state_dtype is not None
        or optimizer.warmup_steps
        or isinstance(parallel, keras.distribution.ModelParallel)
    ):
        return [False] * len(variables)
    return [
        len(variable.shape) == 2
        and variable.shape[0] >= max(LEAST_ROWS, variable.shape[1])
        and variable.path.split("/")[-1] == "embeddings"
        for variable in variables
    ]


class TableState:
    """The state of one table.

    Args:
        optimizer: The `LearnedOptimizer`.
        variable: The variable.
        tensors: Int. How many variables the optimizer trains.
    """

    def __init__(self, optimizer: Any, variable: Variable, tensors: int):
        self.optimizer, self.variable = optimizer, variable
        self.shape, self.tensors = tuple(variable.shape), tensors
        with scope(optimizer, variable):
            self._make()

    def _make(self):
        policy = self.optimizer.policy
        row = ops.zeros((1, self.shape[1]))
        first = policy.initial_state([row]).tensors[0]
        leaves = keras.tree.flatten(first)
        self._first = [ops.convert_to_numpy(leaf) for leaf in leaves]
        self.structure = keras.tree.map_structure(lambda leaf: 0, first)
        #: Of each tensor of the state, whether it belongs to rows; others
        #: belong to the whole table.
        self.of_rows = [tuple(x.shape)[-2:] == tuple(row.shape) for x in leaves]
        self.features = [
            tuple(leaf.shape)[:-2] if of_rows else tuple(leaf.shape)
            for leaf, of_rows in zip(leaves, self.of_rows)
        ]
        width = sum(
            math.prod(features)
            for features, of_rows in zip(self.features, self.of_rows)
            if of_rows
        )
        self.whole = [
            self._add(f"whole_{index}", leaf)
            for index, leaf in enumerate(leaves)
            if not self.of_rows[index]
        ]
        self.sums = self._add("sums", policy.sums_of_table(first))
        # All of a row in one piece, and the step that it is of. The states of
        # all rows start alike.
        one = ops.zeros((1, width, self.shape[1]), policy.variable_dtype)
        rows = ops.tile(self.pack(first, one), (self.shape[0], 1, 1))
        self.rows = self._add("rows", rows)
        self.last = self._add("last", ops.zeros(self.shape[:1], "int32"))
        self.variables = [*self.whole, self.sums, self.rows, self.last]

    def _add(self, name, leaf):
        name = f"{self.variable.path}_{name}"
        return add(self.optimizer, name, leaf, self.variable)

    def step(
        self,
        gradient: Tensor,
        variable: Variable,
        subtracted: Callable,
        counts: Tensor | None,
        state: PolicyState,
    ) -> None:
        """Makes one step, and puts all that is new into the variables.

        Args:
            gradient: `(rows, columns)`, or TensorFlow's slices of rows.
            variable: The table, of this replica.
            subtracted: Function of update and parameter, rows of both, that
                says what to subtract.
            counts: Boolean scalar tensor: where it is false, all stays.
                `None` is true.
            state: `PolicyState` before the step, without tensors.
        """
        table = TableStep(
            self, gradient, variable, subtracted, counts, state.step
        )
        old = [*table.whole, backend.read(self.sums)]
        whole, sums = self.optimizer.policy.update_table(
            table, state, old[:-1], old[-1]
        )
        new = [*whole, sums]
        if counts is not None:
            new = numerics.select(counts, new, old)
        for kept, value in zip((*self.whole, self.sums), new):
            self.optimizer.assign(kept, value)

    def unpack(self, rows: Tensor, whole: Sequence[Tensor]) -> Nest:
        """A state from rows `(rows, width, columns)` and the other tensors."""
        rows, others = ops.moveaxis(rows, 0, 1), iter(whole)
        leaves, start = [], 0
        for features, of_rows in zip(self.features, self.of_rows):
            if not of_rows:
                leaves.append(next(others))
                continue
            end = start + math.prod(features)
            leaf = rows[start:end]
            shape = (*features, -1, self.shape[1])
            leaves.append(ops.reshape(leaf, shape))
            start = end
        return keras.tree.pack_sequence_as(self.structure, leaves)

    def pack(self, tensor: Nest, rows: Tensor) -> Tensor:
        """The rows again of what `unpack` has made of `rows`."""
        leaves = [
            ops.reshape(leaf, (math.prod(features), -1, self.shape[1]))
            for leaf, features, of_rows in zip(
                keras.tree.flatten(tensor), self.features, self.of_rows
            )
            if of_rows
        ]
        return ops.moveaxis(ops.concatenate(leaves), 0, 1) if leaves else rows

    def read(self, step: Tensor) -> Nest:
        """The state after so many steps, of tensors in the table's shape."""
        whole = [backend.read(variable) for variable in self.whole]
        tensor = self.unpack(backend.read(self.rows), whole)
        return self.rested(tensor, step, backend.read(self.last))

    def rested(self, tensor: Nest, step: Tensor, last: Tensor) -> Nest:
        """The state of rows at a step, each of which was of its last one."""
        dtype = self.optimizer.policy.variable_dtype
        steps = float_step(step - last, dtype)
        steps = ops.cast(steps, dtype)[:, None]
        return self.optimizer.policy.rested(tensor, steps)

    def array_shapes(self) -> list[tuple]:
        """Shapes of what `arrays` gives."""
        return [
            (*features, *self.shape) if of_rows else features
            for features, of_rows in zip(self.features, self.of_rows)
        ]

    def arrays(self, step: Tensor) -> list[np.ndarray]:
        """The tensors of `read` as arrays."""
        leaves = keras.tree.flatten(self.read(step))
        return [ops.convert_to_numpy(leaf) for leaf in leaves]

    def restore(self, arrays: Sequence[np.ndarray], step: Any) -> None:
        """Puts back what `arrays` gave after so many steps."""
        leaves = [ops.convert_to_tensor(array) for array in arrays]
        tensor = keras.tree.pack_sequence_as(self.structure, leaves)
        self.rows.assign(self.pack(tensor, backend.read(self.rows)))
        self.last.assign(np.full(self.shape[:1], int(step), "int32"))
        self.sums.assign(self.optimizer.policy.sums_of_table(tensor))
        whole = [x for x, rows in zip(leaves, self.of_rows) if not rows]
        for variable, leaf in zip(self.whole, whole):
            variable.assign(leaf)

    def reset(self) -> None:
        """Puts the state back to before the first step."""
        leaves = [
            np.broadcast_to(leaf, shape)
            for leaf, shape in zip(self._first, self.array_shapes())
        ]
        self.restore(leaves, 0)


class WithTables:
    """The state of some tables and, in another form, of all other variables.

    Args:
        others: `FlatState` or `TensorState`, made without the tables.
        tables: Dict of `TableState` by the variables' numbers.
    """

    def __init__(self, others: Any, tables: dict[int, TableState]) -> None:
        self.others, self.tables = others, tables
        self.marks = others.marks
        self.variables = [
            *others.variables,
            *(v for table in tables.values() for v in table.variables),
        ]

    def step(self, gradients, parameters, counts=None):
        """As `TensorState.step`, for all but the tables."""
        return self.others.step(gradients, parameters, counts)

    def clock(self) -> PolicyState:
        """The state without tensors."""
        return self.others.clock()

    def read(self) -> PolicyState:
        """The `PolicyState`, of tensors."""
        state = self.others.read()
        tensors = list(state.tensors)
        for number, table in self.tables.items():
            tensors[number] = table.read(state.step)
        return state._replace(tensors=tuple(tensors))

    def tell(self):
        """As `TensorState.tell`."""
        self.others.tell()

    def array_shapes(self):
        """As `TensorState.array_shapes`."""
        return self.others.array_shapes() | {
            f"{number}_{index}": shape
            for number, table in self.tables.items()
            for index, shape in enumerate(table.array_shapes())
        }

    def arrays(self):
        """As `TensorState.arrays`: rows that wait are brought up to date."""
        step = self.clock().step
        return self.others.arrays() | {
            f"{number}_{index}": array
            for number, table in self.tables.items()
            for index, array in enumerate(table.arrays(step))
        }

    def restore(self, arrays):
        """As `TensorState.restore`."""
        self.others.restore(arrays)
        for number, table in self.tables.items():
            leaves = [
                arrays[f"{number}_{index}"]
                for index, _ in enumerate(table.array_shapes())
            ]
            table.restore(leaves, arrays["step"])

    def reset(self):
        """As `TensorState.reset`."""
        self.others.reset()
        for table in self.tables.values():
            table.reset()
