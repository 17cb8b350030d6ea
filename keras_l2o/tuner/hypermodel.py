"""Distillations under perturbations, for the tuners of keras_tuner."""

import functools
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_l2o import hub
from keras_l2o import keras_internals
from keras_l2o.perturbations.names import NAMES
from keras_l2o.perturbations.perturbation import Perturbation
from keras_l2o.training import MetaTrainer
from keras_l2o.tuner import keras_tuner_internals
from keras_l2o.tuner import replicate
from keras_l2o.tuner import space
from keras_l2o.version import versions


class PerturbationHyperModel(keras_tuner.HyperModel):
    """A `keras_tuner.HyperModel` that searches for a perturbation.

    A trial trains `replicates` students with different seeds under one
    perturbation, and validates all of them on the same rollouts. It reports

    - `val_log_loss`: the mean of the students' best validation losses;
    - `val_log_loss_spread`: the standard deviation between them, if there are
      several;
    - `default_objective`: the mean plus `spread_weight` times the standard
      deviation. A tuner minimizes it if you give it no objective.

    If a loss is not finite, the trial has failed. The search then continues,
    until the tuner's `max_consecutive_failed_trials` fail in a row.

    The first trial of every search is without perturbation, `"none"`. The
    best student of a trial is saved in the folder `optimizer` of the trial's
    directory, which `keras_l2o.load` reads, and `tuner.get_best_models()`
    returns it. A trial that Hyperband continues for more epochs is trained
    from the start.

    Args:
        trainer: Function that maps a seed to a `MetaTrainer`, or to a pair of
            a `MetaTrainer` and a list of callbacks, such as a strategy.
            Defaults to `None`, a `MetaTrainer` with the arguments below.
        kinds: List of names of perturbations, see
            `keras_l2o.perturbations.get`, or of classes of your own whose
            constructors take `magnitude`. `"none"` is always tried, too.
            Defaults to `None`, all names.
        magnitudes: Dict from kinds to pairs of the least and the greatest
            magnitude, between which it is sampled log-uniformly. A class of
            your own needs an entry. Defaults to `None`, the paper's ranges.
        steps: Pair of ints, the least and the greatest number of steps of
            `"pgd"`, `"cgd"` and classes that take `steps`. Defaults to
            `(1, 3)`.
        replicates: Int. How many students a trial trains. Defaults to `2`.
        spread_weight: Float. How much the standard deviation between students
            counts in `default_objective`. Defaults to `1.0`.
        seed: Int. The seed of the first student; the next student has the next
            number. Defaults to `0`.
        **arguments: Arguments of `MetaTrainer`, if there is no `trainer`. Each
            replicate has a student of its own: a copy if the student that you
            pass is built, with the same weights, and else a new one.

    Raises:
        ValueError: An argument is out of its range, or a name is not known.

    Example:

    >>> import keras_tuner
    >>> hypermodel = keras_l2o.PerturbationHyperModel(
    ...     lambda seed: trainer, kinds=["gaussian"], replicates=1)
    >>> tuner = keras_tuner.RandomSearch(
    ...     hypermodel, max_trials=1, hyperparameters=hypermodel.space())
    >>> tuner.search(epochs=1, steps_per_epoch=1, verbose=0)
    >>> best = tuner.get_best_hyperparameters()[0]
    >>> best.get("perturbation")
    'none'
    >>> perturbation = hypermodel.perturbation(best)  # None

    Reference:
        - [Huang et al., 2022](https://arxiv.org/abs/2203.06474), section 3.4.
    """

    def __init__(
        self,
        trainer: Callable[[int], Any] | None = None,
        *,
        kinds: Sequence[str | type] | None = None,
        magnitudes: Mapping[Any, tuple[float, float]] | None = None,
        steps: tuple[int, int] = (1, 3),
        replicates: int = 2,
        spread_weight: float = 1.0,
        seed: int = 0,
        **arguments: Any,
    ) -> None:
        super().__init__()
        if trainer is not None and arguments:
            raise ValueError(
                "Arguments of `MetaTrainer` must be left out when `trainer` "
                f"makes it. Received: {', '.join(sorted(arguments))}"
            )
        if not isinstance(replicates, int) or replicates < 1:
            raise ValueError(
                "Argument `replicates` must be an integer of at least 1. "
                f"Received: replicates={replicates!r}"
            )
        if trainer is None:
            trainer = functools.partial(_trainer_from_arguments, arguments)
        self.trainer = trainer
        kinds = sorted(NAMES) if kinds is None else kinds
        self.classes = {**NAMES, **_own_classes(kinds)}
        self.magnitudes = _magnitudes(kinds, magnitudes or {}, self.classes)
        self.steps = tuple(steps)
        self.replicates = replicates
        self.spread_weight = spread_weight
        self.seed = seed

    def space(self) -> keras_tuner.HyperParameters:
        """The search space.

        If several workers search, pass it to the tuner's constructor as
        `hyperparameters`.

        Returns:
            `keras_tuner.HyperParameters`.
        """
        hp = keras_tuner.HyperParameters()
        self.declare_hyperparameters(hp)
        return hp

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Adds the search space to hyperparameters.

        Args:
            hp: `keras_tuner.HyperParameters`.
        """
        space.declare(hp, self.magnitudes, self.steps, self.classes)

    def perturbation(
        self, hp: keras_tuner.HyperParameters
    ) -> Perturbation | None:
        """Makes the perturbation that a trial's hyperparameters describe.

        Args:
            hp: `keras_tuner.HyperParameters`.

        Returns:
            A `keras_l2o.perturbations.Perturbation`; `None` for `"none"`.
        """
        return space.perturbation(hp, self.seed, self.classes)

    def build(self, hp: keras_tuner.HyperParameters) -> MetaTrainer:
        """Makes the `MetaTrainer` of the first replicate; tuners call it.

        Args:
            hp: `keras_tuner.HyperParameters`.

        Returns:
            A `MetaTrainer` that has not been trained.
        """
        if space.KIND not in hp:
            self.declare_hyperparameters(hp)
        return self._make(0)[0]

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: MetaTrainer,
        *args: Any,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        **kwargs: Any,
    ) -> dict[str, float]:
        """Trains and validates the replicates of a trial; tuners call it.

        Args:
            hp: `keras_tuner.HyperParameters`.
            model: `MetaTrainer`, which gets the weights of the best student.
            *args: As in `MetaTrainer.fit`.
            callbacks: List of Keras callbacks, of which each replicate has a
                copy. Defaults to `None`, an empty list.
            **kwargs: As in `MetaTrainer.fit`.

        Returns:
            Dict of floats, the figures that the class describes.
        """
        callbacks = list(callbacks or [])
        # It would save all replicates in the same place, after every epoch.
        checkpoint = keras_tuner_internals.checkpoint(callbacks)
        if checkpoint is not None:
            callbacks.remove(checkpoint)
        running = keras_tuner_internals.running(callbacks)
        if running is not None:
            _place_logs(callbacks, running.trial.trial_id)
        # Each student starts from scratch, also if Hyperband continues a
        # trial: the model that it has kept is only the best one.
        kwargs.pop("initial_epoch", None)
        sets = [callbacks] + [
            replicate.copies(callbacks, index)
            for index in range(1, self.replicates)
        ]
        trained = [
            self._train(index, hp, *args, callbacks=given, **kwargs)
            for index, given in enumerate(sets)
        ]
        losses = [student.loss for student in trained]
        if not np.all(np.isfinite(losses)):
            raise keras_tuner.errors.FailedTrialError(
                "The validation loss of a replicate is not finite: "
                f"{', '.join(f'{loss:g}' for loss in losses)}"
            )
        figures = self._figures(losses)
        best = min(trained, key=lambda student: student.loss)
        model.student.set_weights(best.trainer.student.get_weights())
        if checkpoint is not None:
            keras_tuner_internals.save(checkpoint, model)
        if running is not None:
            folder = running.tuner.get_trial_dir(running.trial.trial_id)
            self._save(pathlib.Path(folder, "optimizer"), best, hp, figures)
        return figures

    def _make(self, index):
        """The trainer of a replicate, and the callbacks made with it."""
        seed = self.seed + index
        with keras_internals.globally_seeded(seed):
            made = self.trainer(seed)
        trainer, callbacks = made if isinstance(made, tuple) else (made, [])
        # With a validation of its own for each, the spread between replicates
        # would include the spread between validations.
        trainer.set_validation(seed=self.seed + 12345)
        return trainer, list(callbacks)

    def _train(self, index, hp, *args, callbacks, **kwargs):
        trainer, own = self._make(index)
        perturbation = space.perturbation(hp, self.seed + index, self.classes)
        if perturbation is not None:
            own.append(perturbation)
        return replicate.train(trainer, [*own, *callbacks], *args, **kwargs)

    def _figures(self, losses):
        mean = float(np.mean(losses))
        if len(losses) == 1:
            return {"val_log_loss": mean, "default_objective": mean}
        spread = float(np.std(losses, ddof=1))
        return {
            "val_log_loss": mean,
            "val_log_loss_spread": spread,
            "default_objective": mean + self.spread_weight * spread,
        }

    def _save(self, folder, best, hp, figures):
        metadata = {
            "perturbation": dict(hp.values),
            "replicates": self.replicates,
            "seed": self.seed,
            "search": figures,
            "data": {p.name: p.digest() for p in best.trainer.problems},
            "versions": versions(),
            "figures": {"val_log_loss": best.loss},
        }
        optimizer = best.trainer.to_optimizer()
        hub.save(optimizer, folder, metadata, overwrite=True)


def _trainer_from_arguments(arguments, seed):
    arguments = dict(arguments)
    student = arguments.pop("student", None)
    if student is not None:
        if student.built:
            student = student.copy()
        else:
            student = type(student).from_config(student.get_config())
    return MetaTrainer(student, seed=seed, **arguments)


def _own_classes(kinds):
    """Classes among the kinds, by the names that trials call them."""
    found = [kind for kind in kinds if isinstance(kind, type)]
    for cls in found:
        if not issubclass(cls, Perturbation):
            raise ValueError(
                "A class in argument `kinds` must derive from "
                f"`keras_l2o.perturbations.Perturbation`. Received: {cls!r}"
            )
    return {_name(cls): cls for cls in found}


def _name(kind):
    return kind.__name__ if isinstance(kind, type) else kind


def _magnitudes(kinds, given, classes):
    kinds = [_name(kind) for kind in kinds]
    given = {_name(kind): pair for kind, pair in given.items()}
    unknown = {*kinds, *given} - {space.NONE} - {*classes}
    if unknown:
        raise ValueError(
            "Arguments `kinds` and `magnitudes` must name perturbations, any "
            f"of {', '.join(sorted(classes))}. Received: {min(unknown)!r}"
        )
    missing = {*kinds} - {space.NONE} - {*given} - {*space.MAGNITUDES}
    if missing:
        raise ValueError(
            "Argument `magnitudes` must say from where to where each class of "
            f"your own is tried. Received none for: {min(missing)!r}"
        )
    ranges = {
        kind: tuple(given.get(kind, space.MAGNITUDES.get(kind)))
        for kind in kinds
        if kind != space.NONE
    }
    for kind, (low, high) in ranges.items():
        if not 0 < low <= high:
            raise ValueError(
                "Argument `magnitudes` must hold pairs of positive numbers, "
                "the lower first: they are sampled log-uniformly. Received: "
                f"magnitudes={{{kind!r}: {(low, high)}}}"
            )
    return ranges


def _place_logs(callbacks, trial):
    """Gives each trial a folder of TensorBoard's, as keras-tuner does on TF."""
    if keras.backend.backend() == "tensorflow":
        return
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.TensorBoard):
            callback.log_dir = str(pathlib.Path(callback.log_dir, trial))
