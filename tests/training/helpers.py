"""A small `MetaTrainer`, and looks at its variables."""

import keras
import numpy as np

import keras_l2o
from keras_l2o import policies


def trainer(problem, **options):
    arguments = dict(
        student=policies.RNNProp(units=(4,)),
        teachers=[policies.Adam(0.02), policies.SGD(0.1)],
        unroll=5,
        depth=(1, 2),
        tasks=2,
        validation_depth=2,
        validation_tasks=1,
    )
    return keras_l2o.MetaTrainer(problems=problem, **{**arguments, **options})


def weights(model):
    return np.concatenate([w.ravel() for w in model.student.get_weights()])


def everything_finite(model):
    variables = [*model.variables, *model.optimizer.variables]
    return all(
        np.isfinite(keras.ops.convert_to_numpy(v)).all() for v in variables
    )
