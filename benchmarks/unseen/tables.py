"""Tasks on tables: answers, measurements and counts."""

import keras
import numpy as np
from keras import layers
from keras import ops

from benchmarks.unseen import data
from keras_l2o.problems import Problem


def survey_residual() -> Problem:
    """A survey's answers, by a residual network with dropout: unseen are the
    table, with two classes that overlap, and dropout."""
    answers = data.table("fair")
    x = answers.drop(columns="affairs").to_numpy("float32")
    y = (answers["affairs"] > 0).to_numpy("int32")

    def model():
        inputs = keras.Input((8,))
        x = layers.Dense(48)(inputs)
        for _ in range(3):
            y = layers.Dense(96, "relu")(layers.BatchNormalization()(x))
            y = layers.Dense(48)(layers.Dropout(0.2)(y))
            x = x + layers.Dropout(0.1)(y)
        return keras.Model(inputs, layers.Dense(2)(ops.relu(x)))

    table = data.standardized(
        data.split_groups("survey", x, y, 1000, classes=2)
    )
    return Problem(model, table, batch_size=64, name="survey_residual")


def diabetes_regression() -> Problem:
    """How a disease goes on, by regression with a robust loss: unseen are the
    table, of 342 patients, and Huber's loss with weight decay in it."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    y = ((y - y.mean()) / y.std()).astype("float32")[:, None]

    def model():
        penalty = keras.regularizers.L2(1e-4)
        return keras.Sequential(
            [
                keras.Input((10,)),
                layers.Dense(64, "swish", kernel_regularizer=penalty),
                layers.Dense(64, "swish", kernel_regularizer=penalty),
                layers.Dense(1),
            ]
        )

    table = data.standardized(
        data.split("diabetes", x.astype("float32"), y, 100)
    )
    return Problem(model, table, "huber", 32, "diabetes_regression")


def _deviance(counts, outputs):
    """Of Poisson: not less than 0, and 0 where the mean is the count."""
    mean = ops.softplus(outputs) + 1e-4
    surplus = ops.log(ops.maximum(counts, 1e-4) / mean)
    return 2.0 * ops.mean(counts * surplus - counts + mean, axis=-1)


def visits_selu() -> Problem:
    """How often people saw a doctor, by ten layers of selu without
    normalization: unseen are the table, counts as targets and the depth."""
    people = data.table("randhie")
    y = people["mdvis"].to_numpy("float32")[:, None]
    x = people.drop(columns="mdvis").to_numpy("float32")

    def model():
        return keras.Sequential(
            [
                keras.Input((9,)),
                *(
                    layers.Dense(48, "selu", kernel_initializer="lecun_normal")
                    for _ in range(10)
                ),
                layers.Dense(1),
            ]
        )

    table = data.standardized(data.split_groups("visits", x, y, 2000))
    return Problem(model, table, _deviance, 64, "visits_selu")


def cancer_mixture() -> Problem:
    """Whether a tumor is harmful, by experts and a gate that weighs them:
    unseen are the table and layers that are multiplied by others."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    # A tenth of the labels is wrong, so that the loss does not go to zero.
    rng = np.random.default_rng(2)
    y = np.where(rng.random(len(y)) < 0.1, 1 - y, y).astype("int32")

    def model():
        inputs = keras.Input((30,))
        gate = layers.Dense(4, "softmax")(inputs)
        x = layers.Dense(4 * 16, "tanh")(inputs)
        x = layers.Reshape((4, 16))(x) * ops.expand_dims(gate, -1)
        return keras.Model(inputs, layers.Dense(2)(ops.sum(x, axis=1)))

    table = data.split("tumors", x.astype("float32"), y, 150, classes=2)
    return Problem(
        model, data.standardized(table), batch_size=32, name="cancer_mixture"
    )
