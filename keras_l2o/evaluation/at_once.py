"""Many trainings in one compiled program, on JAX."""

import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_l2o import backend
from keras_l2o import keras_internals
from keras_l2o.evaluation.contender import without_names
from keras_l2o.evaluation.training_run import TrainingRun
from keras_l2o.evaluation.training_run import tell_horizon
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.problems import Problem
from keras_l2o.training.episodes import stack
from keras_l2o.typing import Config

#: Number of steps that one call of the compiled program makes. Their batches
#: are passed to it together.
STEPS = 32
#: Largest number of runs in one program.
RUNS = 64


def can_run(problem: Problem) -> bool:
    """Whether several runs of a problem can be trained in one program.

    Args:
        problem: A `Problem`.

    Returns:
        Bool: `True` on JAX, if the problem's data is in arrays.
    """
    return backend.MAPS_TRAINING and hasattr(problem, "examples")


def rule(optimizer: keras.optimizers.Optimizer) -> Config:
    """What optimizers must have in common to train in one program.

    Args:
        optimizer: A `keras.optimizers.Optimizer`.

    Returns:
        Dict: the class and the configuration. Names and the weights of learned
        policies are left out, since they may differ.
    """
    config = {**optimizer.get_config(), "class": type(optimizer)}
    for key in ("policy_weights", "source"):
        config.pop(key, None)
    return without_names(config)


def train_at_once(
    problem: Problem,
    optimizers: Sequence[keras.optimizers.Optimizer],
    seeds: Sequence[int],
    steps: int,
    epoch_steps: int,
    on_epoch: Callable[[int, int, dict[str, float]], Any] | None = None,
) -> list[TrainingRun]:
    """Trains many new models of a problem at the same time.

    Run `i` equals, up to rounding, what `train` returns for `optimizers[i]` and
    `seeds[i]`.

    Args:
        problem: A `Problem` with data in arrays.
        optimizers: List of new optimizers, one for each run, for all of which
            `rule` returns the same.
        seeds: List of ints, one for each run.
        steps: Int. Steps of each run.
        epoch_steps: Int. Steps of an epoch, as in `train`.
        on_epoch: Function of the run's number, the epoch's number (both from
            0) and a dict of the epoch's validation figures. Defaults to
            `None`.

    Returns:
        List of `TrainingRun`, one for each run. Their seconds are the time
        that all runs took together, divided by the number of runs.
    """
    for optimizer in optimizers:
        tell_horizon(optimizer, problem, steps)
    training = _Training(problem, optimizers, seeds)
    runs, epochs = len(seeds), -(-steps // epoch_steps)
    losses = np.full((runs, steps), np.nan, "float32")
    validation_loss = np.full((runs, epochs), np.nan)
    accuracy = np.full((runs, epochs), np.nan)
    seconds = np.full((runs, epochs), np.nan)
    streams = [
        problem.stream(np.random.default_rng([seed, 1]), steps)
        for seed in seeds
    ]
    for epoch in range(epochs):
        started = time.perf_counter()
        step, end = epoch * epoch_steps, min((epoch + 1) * epoch_steps, steps)
        while step < end:
            count = min(STEPS, end - step)
            losses[:, step : step + count] = training.run(
                [[next(stream) for _ in range(count)] for stream in streams]
            )
            step += count
        seconds[:, epoch] = (time.perf_counter() - started) / runs
        # Once a run has diverged it counts as diverged, even if later losses
        # are finite.
        alive = np.isfinite(losses[:, :end]).all(axis=1)
        figures = training.validate()
        for name, rows in (("loss", validation_loss), ("accuracy", accuracy)):
            if name in figures:
                rows[:, epoch] = np.where(alive, figures[name], np.nan)
        seconds[~alive, epoch] = np.nan
        if on_epoch is not None:
            for run in np.flatnonzero(alive):
                logs = {name: float(row[run]) for name, row in figures.items()}
                on_epoch(int(run), epoch, logs)
        if not alive.any():
            break
    return [
        _finished(*row)
        for row in zip(losses, validation_loss, accuracy, seconds)
    ]


def _finished(losses, validation_loss, accuracy, seconds):
    """The `TrainingRun` of one run's rows."""
    bad = np.flatnonzero(~np.isfinite(losses))
    diverged = int(bad[0]) if bad.size else -1
    if bad.size:
        losses[diverged + 1 :] = np.nan
    return TrainingRun(losses, validation_loss, accuracy, seconds, diverged, {})


class _Training:
    """The state of all runs, and the compiled programs that update it.

    Args:
        problem: `Problem`.
        optimizers: List of new optimizers, one for each run.
        seeds: List of ints, one for each run.
    """

    def __init__(self, problem, optimizers, seeds):
        self.problem = problem
        models = [problem.new_model(seed) for seed in seeds]
        self.model, self.optimizer = models[0], optimizers[0]
        states = []
        for model, optimizer in zip(models, optimizers):
            optimizer.build(model.trainable_variables)
            states.append(self._values(model, optimizer))
        self.state = stack(states)
        self.classifies = bool(getattr(problem.data, "classes", 0))
        self._loss = backend.unrolled(problem.loss_value)
        self._steps = backend.mapped(self._one_run)
        self._validation = backend.mapped(self._one_validation)

    def _values(self, model, optimizer):
        groups = self._groups(model, optimizer)
        return [
            [ops.convert_to_numpy(variable) for variable in group]
            for group in groups
        ]

    def _groups(self, model, optimizer):
        policy = []
        if isinstance(optimizer, LearnedOptimizer):
            policy = optimizer.policy.variables
        return (
            model.trainable_variables,
            model.non_trainable_variables,
            optimizer.variables,
            policy,
        )

    def run(self, batches):
        """Makes some steps of each run.

        Args:
            batches: List, one entry for each run, of lists of batches, one
                for each step.

        Returns:
            Array `(runs, steps)`, the losses.
        """
        stacked = stack([stack(steps) for steps in batches])
        self.state, losses = self._steps(self.state, stacked, None)
        return np.asarray(losses)

    def validate(self):
        """Loss and accuracy of each run on the validation data.

        Returns:
            Dict of arrays `(runs,)`; empty if there is no validation data.
        """
        data = self.problem.data
        if not hasattr(data, "x_validation"):
            return {}
        x, y = data.x_validation, data.y_validation
        sums, batch = {}, 500
        for start in range(0, len(x), batch):
            part = slice(start, start + batch)
            figures = self._validation(self.state, None, (x[part], y[part]))
            for name, row in figures.items():
                row = np.asarray(row, "float64") * len(x[part])
                sums[name] = sums.get(name, 0.0) + row
        return {name: total / len(x) for name, total in sums.items()}

    def _one_run(self, state, batches, shared):
        groups = self._groups(self.model, self.optimizer)

        def scaled(trainable, non_trainable, batch, scale):
            loss, non_trainable = self._loss(trainable, non_trainable, batch)
            return loss * scale, non_trainable

        differentiated = backend.value_and_grad(scaled)

        def body(state, batch):
            trainable, non_trainable, optimizer, policy = state
            scale, _ = backend.stateless(
                self.optimizer.scale_loss, groups, state, ops.ones(())
            )
            (loss, non_trainable), gradients = differentiated(
                trainable, non_trainable, batch, scale
            )
            state = trainable, non_trainable, optimizer, policy
            return self._applied(state, gradients), loss / scale

        steps = keras.tree.flatten(batches)[0].shape[0]
        return backend.scan(body, tuple(map(list, state)), batches, steps)

    def _applied(self, state, gradients):
        """The state after a step of the optimizer."""
        trainable, non_trainable, optimizer, policy = state
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            # Its `apply` has branches that assign: they cannot be traced.
            state = self.optimizer.stateless_apply(
                optimizer, gradients, trainable
            )
            trainable, optimizer = map(list, state)
            return trainable, non_trainable, optimizer, policy
        _, state = backend.stateless(
            lambda gradients: self.optimizer.apply(
                gradients, self.model.trainable_variables
            ),
            self._groups(self.model, self.optimizer),
            state,
            gradients,
        )
        return state

    def _one_validation(self, state, nothing, batch):
        trainable, non_trainable, *_ = state
        averages, _ = backend.stateless(
            lambda variables: keras_internals.averages(
                self.optimizer, variables
            ),
            self._groups(self.model, self.optimizer),
            state,
            self.model.trainable_variables,
        )
        trainable = trainable if averages is None else averages
        loss, _ = self.problem.loss_value(
            trainable, non_trainable, batch, training=False
        )
        figures = {"loss": loss}
        if self.classifies:
            output, _ = self.model.stateless_call(
                trainable, non_trainable, batch[0], training=False
            )
            figures["accuracy"] = ops.mean(
                keras.metrics.sparse_categorical_accuracy(batch[1], output)
            )
        return figures
