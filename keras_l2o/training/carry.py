import keras
from keras import ops

from keras_l2o import backend
from keras_l2o.training import inner_loop


class Carry:
    """Variables that hold a problem's trajectories between outer steps.

    Args:
        model: `keras.Model` that owns the variables. Not built yet.
        problem: The `Problem`.
        policies: List of the policies that have a trajectory each.
        tasks: Int. Episodes side by side: the first axis of every variable.
        name: String. Prefix of the variables' names.
    """

    def __init__(self, model, problem, policies, tasks, name):
        _, non_trainable = problem.initial_values(0)
        zeros = ops.zeros((problem.size,), problem.dtype)
        template = tuple(
            inner_loop.start(
                policy,
                problem,
                zeros,
                [ops.zeros(v.shape, str(v.dtype)) for v in non_trainable],
            )
            for policy in policies
        )
        self._structure = keras.tree.map_structure(lambda leaf: 0, template)
        self._variables = [
            model.add_weight(
                shape=(tasks, *leaf.shape),
                initializer="zeros",
                dtype=keras.backend.standardize_dtype(leaf.dtype),
                trainable=False,
                name=f"{name}_{index}",
            )
            for index, leaf in enumerate(keras.tree.flatten(template))
        ]

    def read(self):
        """The trajectories: a tuple over policies, stacked over tasks."""
        return keras.tree.pack_sequence_as(
            self._structure,
            [backend.read(variable) for variable in self._variables],
        )

    def assign(self, trajectories):
        for variable, value in zip(
            self._variables, keras.tree.flatten(trajectories)
        ):
            variable.assign(value)
