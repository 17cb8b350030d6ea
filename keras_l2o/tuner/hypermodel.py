import functools
import pathlib

import keras
import keras_tuner
import numpy as np

from keras_l2o import hub
from keras_l2o import keras_internals
from keras_l2o.perturbations.names import NAMES
from keras_l2o.perturbations.perturbation import Perturbation
from keras_l2o.training import MetaTrainer
from keras_l2o.tuner import replicate
from keras_l2o.tuner import space
from keras_l2o.version import versions


class PerturbationHyperModel(keras_tuner.HyperModel):
    """Distillations under any perturbation, for any keras_tuner tuner.

    A trial trains `replicates` students, each with its own seed, under one
    perturbation, and validates all on the same rollouts. It reports
    `val_log_loss`, the mean of their best validation losses,
    `val_log_loss_spread`, the standard deviation between them if they are
    several, and, as what is minimized where a tuner is given no objective,
    `default_objective`: the mean plus `spread_weight` times the spread. A
    trial whose loss is not finite has failed, in the way of keras-tuner: the
    search goes on until `max_consecutive_failed_trials` fail in a row.

    Zero perturbation, `"none"`, is the first trial of every search. The best
    student of a trial is in the folder `optimizer` of the trial's directory,
    for `keras_l2o.load`, and in what `tuner.get_best_models()` returns.
    Under Hyperband, a trial that is promoted trains from the start, for more
    epochs.

    Args:
        trainer: Function from a seed to a `MetaTrainer`, or to a pair of one
            and a list of callbacks, among them, say, a strategy. Defaults to
            a `MetaTrainer` of the arguments below.
        kinds: List of names of `keras_l2o.perturbations`, or of classes of
            your own, whose constructors take `magnitude`. `"none"` is always
            one more. Defaults to all of those names.
        magnitudes: Dict from kinds to the least and the greatest magnitude,
            sampled log-uniformly. Defaults to the paper's ranges; a class of
            your own has none.
        steps: Pair of ints. Least and most steps of `"pgd"`, `"cgd"`, and of
            classes that take `steps`. Defaults to `(1, 3)`.
        replicates: Int. Students of a trial. Defaults to `2`.
        spread_weight: Float. Defaults to `1.0`.
        seed: Int. Of the first replicate; the next has the next. Defaults to
            `0`.
        **arguments: Of `MetaTrainer`, if `trainer` is left out. The student
            is made anew for each replicate: with fresh weights, or with
            those that it is built with, such as trained ones.

    Example:

    >>> hypermodel = keras_l2o.PerturbationHyperModel(unroll=20)
    >>> tuner = keras_tuner.RandomSearch(
    ...     hypermodel, max_trials=10, hyperparameters=hypermodel.space())
    >>> tuner.search(epochs=5)
    >>> perturbation = hypermodel.perturbation(
    ...     tuner.get_best_hyperparameters()[0])

    Reference:
        - [Huang et al., 2022](https://arxiv.org/abs/2203.06474), section 3.4.
    """

    def __init__(
        self,
        trainer=None,
        *,
        kinds=None,
        magnitudes=None,
        steps=(1, 3),
        replicates=2,
        spread_weight=1.0,
        seed=0,
        **arguments,
    ):
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

    def space(self):
        """The search space, `keras_tuner.HyperParameters`.

        Hand it to a tuner up front where several workers search.
        """
        hp = keras_tuner.HyperParameters()
        self.declare_hyperparameters(hp)
        return hp

    def declare_hyperparameters(self, hp):
        space.declare(hp, self.magnitudes, self.steps, self.classes)

    def perturbation(self, hp):
        """The perturbation of a trial's hyperparameters; `None` for none."""
        return space.perturbation(hp, self.seed, self.classes)

    def build(self, hp):
        """The first replicate's `MetaTrainer`, untrained."""
        if space.KIND not in hp:
            self.declare_hyperparameters(hp)
        return self._make(0)[0]

    def fit(self, hp, model, *args, callbacks=None, **kwargs):
        """Trains and validates the replicates of a trial.

        Args:
            hp: `keras_tuner.HyperParameters`.
            model: `MetaTrainer`, which comes back with the best student.
            *args, callbacks, **kwargs: As in `MetaTrainer.fit`, except that
                every replicate has its own copy of the callbacks.

        Returns:
            Dict of floats, the trial's figures.
        """
        callbacks = list(callbacks or [])
        # It would save every epoch of every replicate in one place.
        checkpoint = _of_tuner(callbacks, "SaveBestEpoch")
        if checkpoint is not None:
            callbacks.remove(checkpoint)
        running = _of_tuner(callbacks, "TunerCallback")
        if running is not None:
            _place_logs(callbacks, running.trial.trial_id)
        # Each starts anew, also where Hyperband goes on with a trial: the
        # trainer that it hands over is one of several students.
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
            checkpoint.set_model(model)
            checkpoint.on_epoch_end(0, {})  # saves where it knows no loss
        if running is not None:
            folder = running.tuner.get_trial_dir(running.trial.trial_id)
            self._save(pathlib.Path(folder, "optimizer"), best, hp, figures)
        return figures

    def _make(self, index):
        """A replicate's trainer and the callbacks that come with it."""
        seed = self.seed + index
        with keras_internals.globally_seeded(seed):
            made = self.trainer(seed)
        trainer, callbacks = made if isinstance(made, tuple) else (made, [])
        # Else the spread would be that of the validations, too.
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


def _of_tuner(callbacks, name):
    """keras-tuner's callback of this name in a trial's, or `None`."""
    for callback in callbacks:
        kind = type(callback)
        if kind.__name__ == name and kind.__module__.startswith("keras_tuner"):
            return callback
    return None


def _place_logs(callbacks, trial):
    """Gives each trial a folder of TensorBoard's, as keras-tuner does on TF."""
    if keras.backend.backend() == "tensorflow":
        return
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.TensorBoard):
            callback.log_dir = str(pathlib.Path(callback.log_dir, trial))
