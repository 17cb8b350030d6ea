"""One training of one optimizee, and what is recorded of it."""

import contextlib
import time
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_l2o import keras_internals
from keras_l2o.evaluation.private import Privacy
from keras_l2o.evaluation.private import PrivateModel
from keras_l2o.evaluation.trace import Trace
from keras_l2o.learned_optimizer import reads_horizon
from keras_l2o.learned_optimizer import without_loss_scale
from keras_l2o.problems import Problem
from keras_l2o.typing import Tensor


class TrainingRun(NamedTuple):
    """What is recorded of one training. Values after a divergence are NaN.

    Attributes:
        losses: Array `(steps,)`, of each batch before its update.
        validation_loss: Array `(epochs,)`, at the end of each epoch.
        validation_accuracy: Array `(epochs,)`, at the end of each epoch.
        seconds: Array `(epochs,)`, the time of each epoch's training without
            validation.
        diverged: Int, the first step whose loss is not finite, or -1.
        trace: Dict of arrays whose names begin with `trace_`: the size of the
            updates by layer, and the weights of a pool. Empty unless it was
            asked for.

    Example:

    >>> run = keras_l2o.evaluation.train(
    ...     keras_l2o.problems.get("quadratic_10"),
    ...     keras.optimizers.Adam(0.1), steps=10, epoch_steps=5)
    >>> run.losses.shape, run.seconds.shape, run.diverged
    ((10,), (2,), -1)
    """

    losses: Tensor
    validation_loss: Tensor
    validation_accuracy: Tensor
    seconds: Tensor
    diverged: int
    trace: dict[str, Any]


def train(
    problem: Problem,
    optimizer: keras.optimizers.Optimizer,
    steps: int,
    epoch_steps: int | None = None,
    seed: int = 0,
    privacy: Privacy | None = None,
    trace: int | None = None,
    on_epoch: Callable[[int, dict[str, float]], Any] | None = None,
) -> TrainingRun:
    """Trains a new model of a problem and validates it after each epoch.

    With `keras.optimizers.ScheduleFreeAdamW`, and with an optimizer that has
    `use_ema`, the average is validated.

    Args:
        problem: A `Problem`.
        optimizer: A new `keras.optimizers.Optimizer`.
        steps: Int. Steps of the training.
        epoch_steps: Int. Steps of an epoch; the last may be shorter. Defaults
            to `None`, all steps.
        seed: Int. Seed of the initial weights and of the order of the batches,
            so that every optimizer sees the same. Defaults to `0`.
        privacy: Settings of private training, a named tuple of floats `clip`,
            `noise_multiplier` and `delta`. Defaults to `None`: training is
            not private.
        trace: Int. Number of steps between two records of what the optimizer
            does. Defaults to `None`, no records.
        on_epoch: Function of the epoch's number (from 0) and a dict of its
            validation figures. Defaults to `None`.

    Returns:
        A `TrainingRun`.

    Raises:
        ValueError: `steps`, `epoch_steps` or `trace` is less than 1; or
            training is to be private and the model has variables that no
            gradient trains.

    Example:

    >>> problem = keras_l2o.problems.Problem(
    ...     model, (x, y), loss="mse", batch_size=4)
    >>> run = keras_l2o.evaluation.train(
    ...     problem, keras.optimizers.SGD(0.01), steps=4)
    >>> run.losses.shape
    (4,)
    """
    epoch_steps = steps if epoch_steps is None else epoch_steps
    for name, value in (("steps", steps), ("epoch_steps", epoch_steps)):
        if value < 1:
            raise ValueError(
                f"Argument `{name}` must be at least 1. Received: "
                f"{name}={value}"
            )
    tell_horizon(optimizer, problem, steps)
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
        with _averaged(optimizer, model):
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


def tell_horizon(
    optimizer: keras.optimizers.Optimizer, problem: Problem, steps: int
) -> None:
    """Tells an optimizer how long a run is, if its policy reads it.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, or a
            `keras.optimizers.LossScaleOptimizer` around one. One that was made
            with `total_steps` keeps these.
        problem: The `Problem` of the run.
        steps: Int. Steps of the run.
    """
    optimizer = without_loss_scale(optimizer)
    if reads_horizon(optimizer) and optimizer.total_steps is None:
        epoch_steps = optimizer.epoch_steps or problem.epoch_steps or None
        optimizer.set_horizon(steps, epoch_steps=epoch_steps)


@contextlib.contextmanager
def _averaged(optimizer, model):
    """Within it, the model has the weights that the optimizer ends with."""
    variables = model.trainable_variables
    values = keras_internals.averages(optimizer, variables)
    if values is None:
        yield
        return
    # Copies: on JAX, variables that share an array are donated twice.
    own, values = (
        [np.array(ops.convert_to_numpy(v)) for v in part]
        for part in (variables, values)
    )
    for variable, value in zip(variables, values):
        variable.assign(value)
    yield
    for variable, value in zip(variables, own):
        variable.assign(value)


def validate(problem: Problem, model: keras.Model) -> dict[str, float]:
    """Loss and accuracy of a model on a problem's validation data.

    Args:
        problem: A `Problem`.
        model: A compiled `keras.Model` of the problem.

    Returns:
        Dict of floats; empty if the problem has no validation data.
    """
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


def end_loss(run: TrainingRun, last: int = 50) -> float:
    """Mean loss of a run's last batches.

    Args:
        run: A `TrainingRun`.
        last: Int. How many batches. Defaults to `50`.

    Returns:
        Float; NaN if the run diverged.

    Example:

    >>> run = keras_l2o.evaluation.train(
    ...     keras_l2o.problems.get("quadratic_10"),
    ...     keras.optimizers.Adam(0.1), steps=10)
    >>> keras_l2o.evaluation.end_loss(run, last=3) < float(run.losses[0])
    True
    """
    return float(np.mean(run.losses[-last:], dtype="float64"))
