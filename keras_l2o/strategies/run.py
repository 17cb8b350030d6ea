import tempfile
import time

import keras
import numpy as np

from keras_l2o import keras_internals
from keras_l2o.strategies import replay
from keras_l2o.strategies.best_so_far import BestSoFar
from keras_l2o.strategies.checkpoints import WAY_OUT
from keras_l2o.strategies.errors import RunError
from keras_l2o.strategies.rows import Row
from keras_l2o.strategies.run_directory import SUMMARY
from keras_l2o.strategies.run_directory import RunDirectory
from keras_l2o.version import versions


class Run(keras.callbacks.Callback):
    """A run: trains a trainer by a strategy, and keeps its results on disk.

    `MetaTrainer.fit` enters it as a context, trains each of its `periods()`
    with it among the callbacks, and leaves it. Each period is on disk before
    the next begins, so that an exception loses the present period alone.

    Args:
        strategy: The `Strategy`, which plans the periods and names the run's
            directory.
        trainer: The `MetaTrainer`.
    """

    def __init__(self, strategy, trainer):
        super().__init__()
        self.strategy, self.trainer = strategy, trainer
        self._scratch = None
        directory = strategy.directory
        if directory is None:
            self._scratch = tempfile.TemporaryDirectory()
            directory = self._scratch.name
        self.files = RunDirectory(directory)
        self.best = BestSoFar(strategy, trainer, self.files, self._describe)

    def __enter__(self):
        strategy = self.strategy
        try:
            self.files.open(
                {
                    "run": strategy.description or self._describe(),
                    "versions": versions(),
                    "metadata": strategy.metadata,
                }
            )
            rows = self.files.rows()
            replay.check(rows, strategy, self.files.path / SUMMARY)
        except BaseException:
            self.__exit__()
            raise
        strategy.rows = rows
        # The name of the checkpoint that the trainer's weights are from: ""
        # for a run's first weights, `None` when a run is taken up again and
        # the trainer's weights are from none of its checkpoints.
        self._weights = None if rows else ""
        return self

    def __exit__(self, *_):
        """Releases the directory, and deletes it if it is a temporary one."""
        self.files.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    @property
    def rows(self):
        """List of `Row`, the finished periods, which the strategy holds."""
        return self.strategy.rows

    def periods(self):
        """Readies the trainer for each `Period` in turn, and yields it."""
        if self.rows and self.trainer.replicates is not None:
            # The process may have been killed after it had written the last
            # row and before it had written all of that row's optimizers.
            self._load(self.rows[-1].checkpoint)
            self.best.save(self.rows)
        while (period := self.strategy.next(self.rows)) is not None:
            self._prepare(period)
            yield period
            self._commit(period)
            if self.trainer.stop_training:
                break
        self.best.give_back(self.rows, self._load)

    def _prepare(self, period):
        strategy, trainer = self.strategy, self.trainer
        if period.start != self._weights:
            self._load(period.start)
        seed = (strategy.seed, period.stage, period.period, period.attempt)
        trainer.set_episodes(**strategy.episodes_of(period), seed=seed)
        trainer.set_validation(**strategy.validation_of(period))
        trainer.imitation_weight.assign(period.imitation_weight)
        _reseed(trainer, seed)
        self._steps, self._figures = [], {}
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        figures = {name: float(value) for name, value in (logs or {}).items()}
        self._steps.append({"step": batch, **figures})

    def on_epoch_end(self, epoch, logs=None):
        self._figures = {k: float(v) for k, v in (logs or {}).items()}

    def _load(self, name):
        """Gives the trainer the weights of a finished period's checkpoint."""
        if name == self._weights:
            return
        (row,) = (row for row in self.rows if row.checkpoint == name)
        self.files.load_checkpoint(self.trainer, name, row.sha256)
        if not self._is_sound():
            raise RunError(
                f"Checkpoint {name} in {self.files.path} has weights that are "
                f"not finite. {WAY_OUT}"
            )
        self._weights = name

    def _commit(self, period):
        """Puts the period on disk. Its row in `summary.csv` comes last."""
        validation = self._figures["val_log_loss"]
        sound = self._is_sound()
        if np.isnan(validation) or not sound:
            validation = float("inf")  # NaN compares with nothing
        name = replay.name_of(period)
        kept = self.strategy.keeps(self.rows, validation)
        if kept and not sound:
            place = self.strategy.directory or "the run"
            raise RunError(
                f"The student is not finite after period {name}, and the "
                f"plan has no other attempt at it. What {place} "
                "has is from before. Take a smaller rate of the outer "
                "optimizer, or another seed, and a new directory."
            )
        if self._steps:
            self.files.write_log(name, self._steps)
        digest = ""
        if kept:
            digest = self.files.save_checkpoint(self.trainer, name)
        self._weights = name if kept else None
        row = Row(
            period,
            validation,
            kept,
            name if kept else "",
            self._figures,
            time.perf_counter() - self._began,
            digest,
        )
        rows = [*self.rows, row]
        self.files.write_rows(rows)
        self.strategy.rows = rows
        self.best.save(rows)
        self.files.keep_checkpoints(rows, self.strategy.needed(rows))

    def _is_sound(self):
        """Whether a student, or one at least, has finite weights only."""
        return any(
            all(
                np.isfinite(weight).all()
                for weight in self.trainer.get_student(index).get_weights()
            )
            for index in self.best.students
        )

    def _describe(self):
        """What the run is made of, as a dict that JSON can hold."""
        serialize, trainer = keras.saving.serialize_keras_object, self.trainer
        return {
            "strategy": {
                "name": type(self.strategy).__name__.lower(),
                **self.strategy.get_config(),
            },
            "student": serialize(trainer.student),
            "teachers": {
                name: serialize(teacher)
                for name, teacher in zip(
                    trainer.teacher_names, trainer.teachers
                )
            },
            "problems": [problem.name for problem in trainer.problems],
        }


def _reseed(trainer, key):
    """Seeds all generators of the compiled step by the period's key."""
    states = [
        variable
        for variable in trainer.non_trainable_variables
        if keras_internals.is_seed_state(variable)
    ]
    draw = np.random.default_rng([*key, len(states)])
    for state in states:
        first = int(draw.integers(2**31))
        state.assign(np.array([first, 0], state.dtype))
