"""Periods of a run: several fits of one trainer that look like one."""

from typing import NamedTuple

import keras


class Period(NamedTuple):
    """What one period trains, how it is validated, and where it starts.

    Attributes:
        stage, period, attempt: Ints, from 0. Its place in the run: an attempt
            is a period that is run again.
        depth: Int. Truncations of an episode, warm-up aside.
        unroll: Int. Inner steps of a truncation.
        episodes: Int. Episodes one after the other.
        warmup: Int. Truncations of an episode that warm up, before the others.
        imitation_weight: Float.
        validation_depth: Int. Truncations of a validation rollout, warm-up
            aside.
        start: String. Checkpoint to start from; empty for the first weights.
    """

    stage: int
    period: int
    attempt: int
    depth: int
    unroll: int
    episodes: int
    warmup: int
    imitation_weight: float
    validation_depth: int
    start: str

    @property
    def steps(self):
        """Outer steps of the period."""
        return self.episodes * (self.depth + self.warmup)


class PeriodCallback(keras.callbacks.Callback):
    """Base class of callbacks that split a `fit` of MetaTrainer into periods.

    `fit` then runs each period as one Keras epoch, until there is no next.
    """

    #: Finished periods: the number of the next Keras epoch.
    finished = 0
    #: How many periods there will be at least, for the progress bar.
    planned = 1
    #: Whether the plan is the same whatever a student's validation says.
    plans_ahead = False

    def open(self):
        """Called once before the first period; `self.model` is the trainer."""

    def prepare(self):
        """Readies the trainer for the next period and returns the `Period`.

        Returns `None` if the run has come to its end.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `prepare`."
        )

    def commit(self, period):
        """Called after a period's training, validation and callbacks."""

    def close(self):
        """Called once after the last period."""

    def abandon(self):
        """Called instead of `close` where an exception ends the run."""


def find(callbacks):
    """The `PeriodCallback` among callbacks, or `None`."""
    found = [
        callback
        for callback in keras.tree.flatten(callbacks or [])
        if isinstance(callback, PeriodCallback)
    ]
    if len(found) > 1:
        raise ValueError(
            "Argument `callbacks` must hold one strategy at most. Received: "
            f"{found}"
        )
    return found[0] if found else None


def run(trainer, fit, strategy, callbacks, verbose="auto", **kwargs):
    """Runs all periods of a strategy.

    Args:
        trainer: The `MetaTrainer`.
        fit: Its `keras.Model.fit`.
        strategy: The `PeriodCallback`, one of `callbacks`.
        callbacks, verbose, **kwargs: As in `keras.Model.fit`.

    Returns:
        Keras's `History`, with an epoch for each period that ran.
    """
    strategy.set_model(trainer)
    strategy.open()
    try:
        _run_periods(trainer, fit, strategy, callbacks, verbose, **kwargs)
    except BaseException:
        strategy.abandon()
        raise
    return trainer.history


def _run_periods(trainer, fit, strategy, callbacks, verbose, **kwargs):
    callbacks = _OneTraining(
        callbacks,
        add_history=True,
        add_progbar=verbose != 0,
        model=trainer,
        verbose=verbose,
        epochs=strategy.planned,
        steps=None,
    )
    callbacks.begin_training()
    while (period := strategy.prepare()) is not None:
        epoch = strategy.finished
        callbacks.set_params(
            {
                "verbose": verbose,
                "epochs": max(strategy.planned, epoch + 1),
                "steps": period.steps,
            }
        )
        fit(
            trainer.episodes.stream(),
            initial_epoch=epoch,
            epochs=epoch + 1,
            steps_per_epoch=period.steps,
            callbacks=callbacks,
            validation_data=trainer.validation,
            **kwargs,
        )
        strategy.commit(period)
        if trainer.stop_training:
            break
    strategy.close()
    callbacks.end_training()


class _OneTraining(keras.callbacks.CallbackList):
    """Callbacks to whom the fits of all periods are one training."""

    _logs = None

    def begin_training(self):
        super().on_train_begin()

    def end_training(self):
        super().on_train_end(self._logs)

    def on_train_begin(self, logs=None):
        pass

    def on_train_end(self, logs=None):
        self._logs = logs
