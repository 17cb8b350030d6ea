"""An optimizer's state in the file of a model.

To decide whether a stored state fits an optimizer, Keras compares the number
of variables. That is not enough here: `FlatState` has the state of all
variables in one piece, and if shapes agree by chance, one layer would get the
state of another. So the file says which variables the state belongs to, and
holds it variable by variable, whatever its form in memory.
"""

import json
import warnings
import zlib

import numpy as np
from keras import ops

from keras_l2o import keras_internals

LAYOUT = "layout"
_STATE = "state_"


def save(optimizer, state, store):
    """Puts an optimizer's variables into a store.

    Args:
        optimizer: A `LearnedOptimizer`.
        state: Its `TensorState` or `FlatState`, or `None` before `build`.
        store: Dict of NumPy arrays, to be filled.
    """
    for index, variable in enumerate(_own(optimizer, state)):
        store[str(index)] = ops.convert_to_numpy(variable)
    if state is None:
        return
    for name, array in state.arrays().items():
        store[_STATE + name] = array
    layout = json.dumps(_layout(optimizer, values=True))
    store[LAYOUT] = np.frombuffer(layout.encode(), "uint8")


def load(optimizer, state, store):
    """Takes an optimizer's variables back out of a store.

    If they belong to an optimizer of other variables, or with other options,
    this warns as Keras does, and the optimizer starts afresh.

    Args:
        optimizer, state, store: As in `save`.
    """
    stored = {name: np.asarray(store[name]) for name in store.keys()}
    reason = _difference(optimizer, state, stored)
    if reason is not None:
        warnings.warn(
            f"Skipping variable loading for optimizer '{optimizer.name}', "
            f"because {reason}. Its state starts afresh.",
            stacklevel=2,
        )
        _reset(optimizer, state)
        return
    if LAYOUT not in stored and state is not None:
        for index, variable in enumerate(_version_1(optimizer, state)):
            variable.assign(stored[str(index)])
        return
    for index, variable in enumerate(_own(optimizer, state)):
        variable.assign(stored[str(index)])
    if state is not None:
        arrays = {
            name.removeprefix(_STATE): array
            for name, array in stored.items()
            if name.startswith(_STATE)
        }
        state.restore(arrays)


def _own(optimizer, state):
    """The variables that are not the policy's state, such as Keras's own."""
    kept = {id(v) for v in state.variables} if state is not None else ()
    return [v for v in optimizer.variables if id(v) not in kept]


def _version_1(optimizer, state):
    """The variables as they were in files without a layout."""
    later = {id(v) for v in (*state.marks, optimizer.skipped_steps)}
    return [v for v in optimizer.variables if id(v) not in later]


def _difference(optimizer, state, stored):
    """Why the stored variables are not the optimizer's, or `None`."""
    if state is None or LAYOUT not in stored:
        known = optimizer.variables
        if state is not None:
            known = _version_1(optimizer, state)
        if len(stored) != len(known):
            return (
                f"it has {len(known)} variables whereas the saved optimizer "
                f"has {len(stored)} variables"
            )
        return _shapes(
            {str(index): v.shape for index, v in enumerate(known)}, stored
        )
    layout = json.loads(stored[LAYOUT].tobytes().decode())
    return _other_variables(
        _layout(optimizer, values=False), layout, optimizer
    ) or _shapes(
        {
            **{
                str(index): v.shape
                for index, v in enumerate(_own(optimizer, state))
            },
            **{
                _STATE + name: shape
                for name, shape in state.array_shapes().items()
            },
        },
        {name: array for name, array in stored.items() if name != LAYOUT},
    )


def _other_variables(here, there, optimizer):
    """Whether two layouts are of other variables: a reason, or `None`."""
    for number in range(max(len(here), len(there))):
        pair = [rows[number : number + 1] for rows in (here, there)]
        names = [
            f"{rows[0]['path']} {tuple(rows[0]['shape'])}"
            if rows
            else "nothing"
            for rows in pair
        ]
        if names[0] == names[1]:
            continue
        own, saved = (rows[0] if rows else {} for rows in pair)
        # A layer that is made a second time in one session gets another name.
        # Then a checksum of the variable's value decides.
        if (
            own.get("shape") != saved.get("shape")
            or _print(keras_internals.trained_variables(optimizer)[number])
            != saved["print"]
        ):
            return (
                "it trains other variables than the saved optimizer: "
                f"{names[0]} where that had {names[1]}"
            )
    return None


def _shapes(expected, stored):
    """Whether arrays are missing or of another shape: a reason, or `None`."""
    if set(expected) != set(stored):
        return (
            f"it has {len(expected)} variables whereas the saved optimizer "
            f"has {len(stored)} variables"
        )
    for name, shape in expected.items():
        if tuple(shape) != stored[name].shape:
            return (
                f"its variable {name} has the shape {tuple(shape)} whereas "
                f"the saved one has {stored[name].shape}"
            )
    return None


def _layout(optimizer, values):
    """A dict for each trained variable: path, shape, checksum if `values`."""
    layout = []
    for variable in keras_internals.trained_variables(optimizer):
        row = {
            "path": getattr(variable, "path", variable.name),
            "shape": list(variable.shape),
        }
        if values:
            row["print"] = _print(variable)
        layout.append(row)
    return layout


def _print(variable):
    return zlib.crc32(np.ascontiguousarray(ops.convert_to_numpy(variable)))


def _reset(optimizer, state):
    """Sets all variables back to their values after `build`.

    The learning rate is left alone: `LossScaleOptimizer` may already have
    loaded the stored one.
    """
    rate = keras_internals.learning_rate_variable(optimizer)
    for variable in _own(optimizer, state):
        if variable is not rate:
            variable.assign(np.zeros(variable.shape))
    if state is not None:
        state.reset()
