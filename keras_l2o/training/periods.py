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
    def truncations(self):
        """Int. Truncations of all episodes together."""
        return self.episodes * (self.depth + self.warmup)


class Plan(keras.callbacks.Callback):
    """Base class of callbacks that split a `fit` of MetaTrainer into periods.

    `fit` then runs each period as one Keras epoch, until there is no next.
    """

    #: How many periods there will be at least, for the progress bar.
    planned = 1
    #: Whether the plan is the same whatever a student's validation says.
    plans_ahead = False
    #: Whether an outer step is a whole episode; `fit` says so.
    whole_episodes = False
    #: The finished periods.
    rows = ()

    def run(self, trainer):
        """A run of a trainer.

        Args:
            trainer: The `MetaTrainer`.

        Returns:
            A Keras callback that is a context, too. Its `periods()` readies
            the trainer for one `Period` after the other, and yields it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `run`."
        )

    def outer_steps(self, period):
        """Int. Outer steps of a period."""
        if self.whole_episodes:
            return period.episodes
        return period.truncations


def find(callbacks):
    """The `Plan` among callbacks, or `None`."""
    found = [
        callback
        for callback in keras.tree.flatten(callbacks or [])
        if isinstance(callback, Plan)
    ]
    if len(found) > 1:
        raise ValueError(
            "Argument `callbacks` must hold one strategy at most. Received: "
            f"{found}"
        )
    return found[0] if found else None


def fit_periods(trainer, fit, plan, callbacks, verbose="auto", **kwargs):
    """Fits all periods of a plan.

    Args:
        trainer: The `MetaTrainer`.
        fit: Its `keras.Model.fit`.
        plan: The `Plan`, one of `callbacks`.
        callbacks, verbose, **kwargs: As in `keras.Model.fit`.

    Returns:
        Keras's `History`, with an epoch for each period that ran.
    """
    plan.set_model(trainer)
    plan.whole_episodes = trainer.estimator.whole_episodes
    with plan.run(trainer) as run:
        callbacks = _OneTraining(
            [*callbacks, run],
            add_history=True,
            add_progbar=verbose != 0,
            model=trainer,
            verbose=verbose,
            epochs=plan.planned,
            steps=None,
        )
        callbacks.begin_training()
        for period in run.periods():
            epoch, steps = len(plan.rows), plan.outer_steps(period)
            epochs = max(plan.planned, epoch + 1)
            callbacks.set_params(
                {"verbose": verbose, "epochs": epochs, "steps": steps}
            )
            fit(
                trainer.episodes.stream(),
                initial_epoch=epoch,
                epochs=epoch + 1,
                steps_per_epoch=steps,
                callbacks=callbacks,
                validation_data=trainer.validation,
                **kwargs,
            )
        callbacks.end_training()
    return trainer.history


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
