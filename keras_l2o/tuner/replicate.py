import copy
import os
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from keras_l2o.training import periods
from keras_l2o.tuner.keras_tuner_internals import is_of_trial


class Replicate(NamedTuple):
    """A student with the weights that it had when it was best.

    Attributes:
        trainer: The `MetaTrainer` of the student.
        loss: Float. That student's validation loss.
    """

    trainer: Any
    loss: float


def train(trainer, callbacks, epochs=None, **arguments):
    """Trains one student and gives it back its best weights.

    Args:
        trainer: `MetaTrainer`.
        callbacks: List of Keras callbacks.
        epochs: Int. With a strategy among the callbacks, its `num_periods`.
        **arguments: Further arguments of `MetaTrainer.fit`.

    Returns:
        A `Replicate`.
    """
    strategy = periods.find(callbacks)
    if strategy is not None:
        if epochs is not None:
            strategy.num_periods = epochs
        trainer.fit(callbacks=callbacks, **arguments)
        best = strategy.best(strategy.rows)
        return Replicate(trainer, best.validation)
    if epochs is not None:
        arguments["epochs"] = epochs
    keep = _KeepBest()
    trainer.fit(callbacks=[*callbacks, keep], **arguments)
    if keep.weights is not None:
        trainer.student.set_weights(keep.weights)
    return Replicate(trainer, keep.loss)


def copies(callbacks, index):
    """Copies callbacks for a replicate other than the first.

    Callbacks of keras-tuner are left out: they belong to the trial as a whole
    and not to each of its students.
    """
    copied = []
    for callback in callbacks:
        if is_of_trial(callback):
            continue
        callback = copy.deepcopy(callback)
        if isinstance(callback, keras.callbacks.TensorBoard):
            callback.log_dir = os.path.join(
                callback.log_dir, f"replicate{index}"
            )
        copied.append(callback)
    return copied


class _KeepBest(keras.callbacks.Callback):
    """Remembers the student after the epoch with the least validation loss."""

    def __init__(self):
        super().__init__()
        self.loss, self.weights = float("inf"), None

    def on_epoch_end(self, epoch, logs=None):
        loss = float(logs["val_log_loss"])
        if np.isfinite(loss) and loss < self.loss:
            self.loss = loss
            self.weights = self.model.student.get_weights()
