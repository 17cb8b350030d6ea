"""Periods of a run: several fits of a trainer, which callbacks see as one."""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras


class Period(NamedTuple):
    """How a strategy wants one period to be trained and validated.

    Attributes:
        stage: Int, the number of its stage, counted from 0.
        period: Int, its number in the stage, counted from 0.
        attempt: Int, how often it was rolled back before.
        depth: Int. Truncations of an episode, without those that warm up.
        unroll: Int. Inner steps of a truncation.
        episodes: Int. Episodes of this depth, one after the other.
        warmup: Int. Truncations at the start of an episode that warm up.
        imitation_weight: Float. Weight of the imitation loss.
        validation_depth: Int. Truncations of a validation rollout, without
            those that warm up.
        start: String. Name of the checkpoint that it starts from; `""` for
            the weights that the run has started with.

    Example:

    >>> strategy = keras_l2o.strategies.Simple(unroll=20, depth=25)
    >>> period = strategy.next([])
    >>> period.unroll, period.truncations
    (20, 250)
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
    def truncations(self) -> int:
        """Int. Truncations of all episodes together."""
        return self.episodes * (self.depth + self.warmup)


class Plan(keras.callbacks.Callback):
    """Base class of callbacks that divide a `fit` of a trainer into periods.

    `MetaTrainer.fit` then runs each period as one epoch of Keras, until the
    plan has no further period.
    """

    #: How many periods there will be at least, for the progress bar.
    planned = 1
    #: Whether the plan does not depend on the losses in validation.
    plans_ahead = False
    #: Whether an outer step is a whole episode; `fit` sets it.
    whole_episodes = False
    #: The finished periods.
    rows: Sequence[Any] = ()

    def run(self, trainer: keras.Model) -> Any:
        """Makes a run of a trainer.

        Args:
            trainer: The `MetaTrainer`.

        Returns:
            A Keras callback that is also a context. Its method `periods()`
            prepares the trainer for one `Period` after the other, and yields
            each.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `run`."
        )

    def outer_steps(self, period: Period) -> int:
        """The number of outer steps of a period.

        Args:
            period: `Period`.

        Returns:
            Int.
        """
        if self.whole_episodes:
            return period.episodes
        return period.truncations


def of_type(callbacks: Any, cls: type) -> list[Any]:
    """Those of the callbacks, a nest or `None`, that are of a class."""
    return [
        callback
        for callback in keras.tree.flatten(callbacks or [])
        if isinstance(callback, cls)
    ]


def find(callbacks):
    """The `Plan` among callbacks, or `None` if there is none.

    Args:
        callbacks: Nest of callbacks, or `None`.

    Raises:
        ValueError: There is more than one.
    """
    found = of_type(callbacks, Plan)
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
    """Callbacks that see the fits of all periods as one training.

    `keras.Model.fit` calls `on_train_begin` and `on_train_end` in each period;
    the callbacks get them only once, before the first and after the last.
    """

    _logs = None

    def begin_training(self):
        super().on_train_begin()

    def end_training(self):
        super().on_train_end(self._logs)

    def on_train_begin(self, logs=None):
        pass

    def on_train_end(self, logs=None):
        self._logs = logs
