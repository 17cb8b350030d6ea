"""Replicates: an axis of a trainer's state, over which its steps are mapped."""

import keras
import numpy as np
from keras import ops

from keras_l2o import backend
from keras_l2o.training.outer_state import OuterState

#: What each replicate has its own of, from the trainer's construction on.
_FIELDS = ("weights", "frozen", "carries", "validation", "metrics", "steps")


class Replicates:
    """Variables that hold the `OuterState`s of several students, stacked.

    Args:
        states: List of `OuterState`, one a student.
    """

    def __init__(self, states):
        self.count = len(states)
        self._nests = {"optimizer": []}
        for field in _FIELDS:
            self.hold(field, [getattr(state, field) for state in states])

    def hold(self, field, values):
        """Makes the variables of a field.

        Args:
            field: String, a field of `OuterState`.
            values: List of nests of tensors, one a student.
        """
        self._nests[field] = keras.tree.map_structure(
            lambda *leaves: keras.Variable(
                np.stack([ops.convert_to_numpy(leaf) for leaf in leaves]),
                trainable=False,
                dtype=keras.backend.standardize_dtype(leaves[0].dtype),
                name=f"replicates_{field}",
            ),
            *values,
        )

    def state(self, shared):
        """The `OuterState` of these variables and of the shared ones."""
        return OuterState(**self._nests, shared=shared)

    @property
    def variables(self):
        return keras.tree.flatten(self._nests)

    @property
    def stored(self):
        """The variables that a checkpoint holds, by name."""
        return {
            f"{field}_{index}": variable
            for field, nest in self._nests.items()
            if field != "metrics"  # which start each epoch afresh
            for index, variable in enumerate(keras.tree.flatten(nest))
        }

    def assign_first_version(self, store, teachers):
        """Loads the values in a checkpoint of the package's first version.

        It numbers all variables in the order of the fields below. The
        teachers' weights come before the optimizer's variables; they are
        skipped, because replicates share them.

        Args:
            store: Dict from numbers, as strings, to arrays.
            teachers: Int. Number of the teachers' variables.
        """
        skipped = [None] * teachers
        nests = self._nests
        order = [nests[f] for f in ("weights", "steps", "carries")]
        order += [nests[f] for f in ("validation", "frozen")]
        variables = keras.tree.flatten(order) + skipped + nests["optimizer"]
        for index, variable in enumerate(variables):
            if variable is not None:
                variable.assign(store[str(index)])

    def reset_metrics(self):
        for variable in self._nests["metrics"]:
            variable.assign(ops.zeros(variable.shape, variable.dtype))

    def steps(self):
        """Int. Outer steps that each student has made."""
        return int(ops.convert_to_numpy(self._nests["steps"])[0])

    def weights(self, index):
        """Values of one student's variables, those that are trained first.

        Args:
            index: Int. Which student.
        """
        return [
            ops.convert_to_numpy(variable)[index]
            for variable in self._nests["weights"] + self._nests["frozen"]
        ]

    def set_weights(self, index, values):
        """Gives one student's variables the values that `weights` returns."""
        stacked = self._nests["weights"] + self._nests["frozen"]
        for variable, value in zip(stacked, values):
            rows = np.array(ops.convert_to_numpy(variable))
            rows[index] = value
            variable.assign(rows)


def mapped(function, state, data, count):
    """Runs a function of one student's state and data for all of them.

    Args:
        function: `(state, data) -> (state, logs)`, pure.
        state: `OuterState` of tensors; what is its own has an axis over the
            students.
        data: Nest of tensors with that axis.
        count: Int. Number of students.

    Returns:
        The new state, and the logs, each a vector over students. What the
        students share comes out the same for all, and is taken from the first.
    """

    def one(own, shared):
        state, data = own
        state, logs = function(state._replace(shared=shared), data)
        return state.own, state.shared, logs

    own, shared, logs = backend.map_replicates(
        one, (state.own, data), state.shared, count
    )
    shared = keras.tree.map_structure(lambda rows: rows[0], shared)
    return own._replace(shared=shared), logs
