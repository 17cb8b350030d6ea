"""One training of one optimizee, and what is recorded of it."""

import time
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_l2o.evaluation.private import PrivateModel
from keras_l2o.evaluation.trace import Trace


class TrainingRun(NamedTuple):
    """What one training leaves. What comes after a divergence is NaN.

    Attributes:
        losses: Array `(steps,)`, of each batch before its update.
        validation_loss, validation_accuracy, seconds: Arrays `(epochs,)`, at
            the end of each epoch. The seconds are those of training alone.
        diverged: Int, the first step whose loss is not finite, or -1.
        trace: Dict of arrays, see `Trace`; empty if none was asked for.
    """

    losses: Any
    validation_loss: Any
    validation_accuracy: Any
    seconds: Any
    diverged: int
    trace: dict


def train(
    problem,
    optimizer,
    steps,
    epoch_steps=None,
    seed=0,
    privacy=None,
    trace=None,
    on_epoch=None,
):
    """Trains a new model of a problem and validates it after each epoch.

    Args:
        problem: A `Problem`.
        optimizer: A new `keras.optimizers.Optimizer`.
        steps: Int.
        epoch_steps: Int. Steps of an epoch; the last may be shorter. Defaults
            to all steps.
        seed: Int. Of the initial values and the order of the batches: every
            optimizer sees the same. Defaults to `0`.
        privacy: `Privacy` settings, or `None`.
        trace: Int or `None`. Steps between two looks at what the optimizer
            does.
        on_epoch: Function of the epoch's number and a dict of its figures.

    Returns:
        A `TrainingRun`.
    """
    epoch_steps = steps if epoch_steps is None else epoch_steps
    for name, value in (("steps", steps), ("epoch_steps", epoch_steps)):
        if value < 1:
            raise ValueError(
                f"Argument `{name}` must be at least 1. Received: "
                f"{name}={value}"
            )
    model = problem.new_model(seed)
    classifies = bool(getattr(problem.data, "classes", 0))
    model.compile(
        optimizer=optimizer if privacy is None else "sgd",
        loss=problem.loss,
        metrics=["accuracy"] if classifies else None,
    )
    trained = model
    if privacy is not None:
        trained = PrivateModel(problem, model, privacy, seed)
        trained.compile(optimizer=optimizer)
    tracer = None if trace is None else Trace(model, optimizer, steps, trace)
    epochs = -(-steps // epoch_steps)
    losses = np.full(steps, np.nan, "float32")
    validation_loss, accuracy, seconds = np.full((3, epochs), np.nan)
    diverged = -1
    batches = problem.stream(np.random.default_rng([seed, 1]), steps)
    started = time.perf_counter()
    for step, (x, y) in enumerate(batches):
        # Keras reports means since the last reset: of one batch, its loss.
        trained.reset_metrics()
        if tracer is not None:
            tracer.before(step)
        logs = trained.train_on_batch(x, y, return_dict=True)
        losses[step] = logs["loss"]
        if tracer is not None:
            tracer.after(step)
        if not np.isfinite(losses[step]):
            diverged = step
            break
        if (step + 1) % epoch_steps and step + 1 < steps:
            continue
        epoch = step // epoch_steps
        seconds[epoch] = time.perf_counter() - started
        logs = validate(problem, model)
        validation_loss[epoch] = logs.get("loss", np.nan)
        accuracy[epoch] = logs.get("accuracy", np.nan)
        if on_epoch is not None:
            on_epoch(epoch, logs)
        started = time.perf_counter()
    return TrainingRun(
        losses,
        validation_loss,
        accuracy,
        seconds,
        diverged,
        {} if tracer is None else tracer.arrays(),
    )


def validate(problem, model):
    """Loss and accuracy on the validation data; empty if there is none."""
    data = problem.data
    if not hasattr(data, "x_validation"):
        return {}
    return model.evaluate(
        data.x_validation,
        data.y_validation,
        batch_size=500,
        verbose=0,
        return_dict=True,
    )


def end_loss(run, last=50):
    """Mean loss of a run's last batches."""
    return float(np.mean(run.losses[-last:], dtype="float64"))
