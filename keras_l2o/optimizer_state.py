"""Keeps the state of an optimizer's policy, and runs the policy over it.

`FlatState` is fast and for policies that treat every coordinate alike.
`TensorState` is for all other policies, for those that read the horizon, which
belongs to no coordinate, and for sharded variables.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.flat_state import FlatState
from keras_l2o.flat_state import advance
from keras_l2o.flat_state import where
from keras_l2o.packing import kept
from keras_l2o.policies.policy import told
from keras_l2o.state_variables import add
from keras_l2o.state_variables import scope
from keras_l2o.table_state import TableState
from keras_l2o.table_state import WithTables
from keras_l2o.table_state import are_tables


def make_state(optimizer, variables):
    """Makes the state of an optimizer's policy for a list of variables."""
    parallel = keras.distribution.distribution()
    sharded = isinstance(parallel, keras.distribution.ModelParallel)
    policy = optimizer.policy
    waits = are_tables(optimizer, variables)
    made: Any = TensorState
    if (
        policy.coordinatewise
        and not policy.reads_horizon
        and not sharded
        and not all(waits)
    ):
        made = FlatState
    others = made(optimizer, variables, waits)
    if not any(waits):
        return others
    tables = {
        number: TableState(optimizer, variable, len(variables))
        for number, variable in enumerate(variables)
        if waits[number]
    }
    return WithTables(others, tables)


class TensorState:
    """The state of each variable on its own, in the variable's layout.

    Args:
        optimizer: The `LearnedOptimizer`.
        variables: List of all variables that it trains.
        left_out: List of bools, which of them have their state elsewhere.
    """

    #: Variables with their states elsewhere, by number.
    tables: Mapping[int, TableState] = MappingProxyType({})

    def __init__(self, optimizer, variables, left_out):
        self.optimizer, self.trained = optimizer, variables
        self.left_out = left_out
        with scope(optimizer, variables[0]):
            state = self._first_state()
            leaves = self._kept(state, 0)
        self.dtypes = [leaf.dtype for leaf in keras.tree.flatten(state)]
        self.structure = keras.tree.map_structure(lambda leaf: 0, state)
        #: Each leaf's name in a file, and the variable that it goes with.
        self.names, references = ["step"], [variables[0]]
        for number, tensor in enumerate(state.tensors):
            for index, _ in enumerate(keras.tree.flatten(tensor)):
                self.names.append(f"{number}_{index}")
                references.append(variables[number])
        for index, _ in enumerate(keras.tree.flatten(state.shared)):
            self.names.append(f"shared_{index}")
            references.append(variables[0])
        self.marks = []
        self.variables = [
            add(optimizer, f"{reference.path}_{name}", leaf, reference)
            for name, reference, leaf in zip(self.names, references, leaves)
        ]
        if optimizer.torch_compile:
            self._run = backend.traced(self._run)

    def read(self):
        """The `PolicyState`, of tensors."""
        return self._unpacked([backend.read(v) for v in self.variables])

    def _unpacked(self, leaves):
        leaves = [
            ops.cast(leaf, dtype) for leaf, dtype in zip(leaves, self.dtypes)
        ]
        return keras.tree.pack_sequence_as(self.structure, leaves)

    def clock(self):
        """The `PolicyState` without tensors."""
        state = self.read()
        return state._replace(tensors=())

    def tell(self):
        """Tells the policy the optimizer's horizon; all else stays."""
        before = self.read()
        after = self._told(before)
        leaves = zip(keras.tree.flatten(before), keras.tree.flatten(after))
        for variable, (old, new) in zip(self.variables, leaves):
            if new is not old:
                variable.assign(ops.cast(new, variable.dtype))

    def step(self, gradients, parameters, counts=None):
        """Runs the policy once and keeps its new state.

        Args:
            gradients: List of tensors, `None` where there is none.
            parameters: List of tensors of the same shapes.
            counts: Boolean scalar tensor: where it is false, the state stays
                and the updates are zeros. Defaults to `None`, which is true.

        Returns:
            List of updates, to be subtracted; `None` where there is none.
        """
        weights = [backend.read(w) for w in self.optimizer.policy.variables]
        leaves = [backend.read(variable) for variable in self.variables]
        # Those that have no gradient now are still variables.
        parameters = [backend.read(parameter) for parameter in parameters]
        updates, leaves = self._run(
            weights, gradients, parameters, leaves, counts
        )
        for variable, leaf in zip(self.variables, leaves):
            self.optimizer.assign(variable, leaf)
        return updates

    def _run(self, weights, gradients, parameters, old, counts):
        """The policy's step: a function of tensors alone.

        Args:
            weights: List of the values of the policy's variables.
            gradients, parameters: As in `step`.
            old: List of the state's tensors, as stored.
            counts: As in `step`.

        Returns:
            What `step` returns, and a list of the new state, as stored.
        """
        policy = self.optimizer.policy
        with keras.StatelessScope(list(zip(policy.variables, weights))):
            updates, state = advance(
                self.optimizer, gradients, parameters, self._unpacked(old)
            )
        leaves = self._kept(state, state.step)
        if counts is not None:
            leaves = numerics.select(counts, leaves, old)
            updates = [u if u is None else where(counts, u) for u in updates]
        return updates, leaves

    def _kept(self, state, step):
        """The leaves of a `PolicyState`, as they are kept."""
        dtype = self.optimizer.state_dtype
        tensors = tuple(
            keras.tree.pack_sequence_as(
                tensor,
                [
                    kept(leaf, variable.shape, dtype, [step, number, index])
                    for index, leaf in enumerate(keras.tree.flatten(tensor))
                ],
            )
            for number, (variable, tensor) in enumerate(
                zip(self.trained, state.tensors)
            )
        )
        return keras.tree.flatten(state._replace(tensors=tensors))

    def array_shapes(self):
        """Dict of the shapes of what `arrays` gives."""
        return {
            name: tuple(variable.shape)
            for name, variable in zip(self.names, self.variables)
        }

    def arrays(self):
        """The state as a dict of NumPy arrays, as a file holds it.

        Under `"step"` the steps made, under `"<variable>_<leaf>"`, both by
        number, what belongs to a variable, and the rest under
        `"shared_<leaf>"`.
        """
        return {
            name: ops.convert_to_numpy(variable)
            for name, variable in zip(self.names, self.variables)
        }

    def restore(self, arrays):
        """Puts back what `arrays` gave, of either form of the state."""
        for name, variable in zip(self.names, self.variables):
            variable.assign(arrays[name])

    def reset(self):
        """Puts the state back to before the first step."""
        # The training starts afresh, and is as long as it was.
        state = self._first_state(first=0)
        for variable, leaf in zip(self.variables, self._kept(state, 0)):
            variable.assign(leaf)

    def _first_state(self, **horizon):
        parameters = [
            np.zeros((0, *variable.shape[1:])) if left_out else variable
            for variable, left_out in zip(self.trained, self.left_out)
        ]
        state = self.optimizer.policy.initial_state(parameters)
        tensors = [
            () if left_out else tensor
            for tensor, left_out in zip(state.tensors, self.left_out)
        ]
        return self._told(state._replace(tensors=tuple(tensors)), **horizon)

    def _told(self, state, **horizon):
        numbers = self.optimizer.horizon._replace(**horizon)
        return self.optimizer.policy.with_horizon(state, told(numbers))
