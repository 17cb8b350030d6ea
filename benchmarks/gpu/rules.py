"""The optimizers that are measured, by name."""

import keras

import keras_l2o
from keras_l2o import policies

RULES = {
    "adam": keras.optimizers.Adam,
    "general": lambda: keras_l2o.from_hub("general"),
    "feature_mlp": lambda: keras_l2o.LearnedOptimizer(policies.FeatureMLP()),
    "rnnprop": lambda: keras_l2o.LearnedOptimizer(policies.RNNProp()),
}
