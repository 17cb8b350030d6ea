"""A small `MetaTrainer`, and looks at its variables."""

import keras
import numpy as np

import keras_l2o
from keras_l2o import policies


def trainer(problem, **options):
    arguments = dict(
        student=policies.RNNProp(units=(4,)),
        teachers=[policies.Adam(0.02)],
        unroll=5,
        depth=(1, 2),
        tasks=2,
        validation_depth=2,
        validation_tasks=1,
    )
    return keras_l2o.MetaTrainer(problems=problem, **{**arguments, **options})


class Bench:
    """One trainer for many tests, put back to its first values before each.

    To trace it for each would take most of the tests' time.

    Args:
        model: `MetaTrainer`, compiled.
    """

    def __init__(self, model):
        self._model, self._variables = model, _variables(model)
        self._first = [
            keras.ops.convert_to_numpy(variable).copy()
            for variable in self._variables
        ]
        self._data = model.episodes, model.validation

    def model(self):
        """The trainer, as good as new."""
        for variable, value in zip(self._variables, self._first):
            variable.assign(value)
        self._model.episodes, self._model.validation = self._data
        return self._model

    def like(self, other):
        """The trainer with the values and the data of another, a new one.

        Args:
            other: `MetaTrainer`, made and compiled with the same arguments
                but for the seed.
        """
        model = self.model()
        for own, variable in zip(
            self._variables, _variables(other), strict=True
        ):
            own.assign(keras.ops.convert_to_numpy(variable))
        model.episodes, model.validation = other.episodes, other.validation
        return model


def _variables(model):
    return [
        *model.trainable_variables,
        *model.non_trainable_variables,
        *model.optimizer.variables,
    ]


def weights(model):
    return np.concatenate([w.ravel() for w in model.student.get_weights()])


def everything_finite(model):
    variables = [*model.variables, *model.optimizer.variables]
    return all(
        np.isfinite(keras.ops.convert_to_numpy(v)).all() for v in variables
    )
