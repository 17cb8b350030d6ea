"""Callbacks for the training of your models with `fit`."""

from keras_l2o.callbacks.horizon import Horizon

__all__ = ["Horizon"]
