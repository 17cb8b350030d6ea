import tempfile
import time

import keras
import numpy as np

from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.strategies import replay
from keras_l2o.strategies.checkpoints import WAY_OUT
from keras_l2o.strategies.errors import RunError
from keras_l2o.strategies.rows import Row
from keras_l2o.strategies.run_directory import SUMMARY
from keras_l2o.strategies.run_directory import RunDirectory
from keras_l2o.version import versions


class Run:
    """A strategy's run of one trainer, on disk from period to period.

    Args:
        strategy: The `Strategy`, which says where the run's directory is.
        trainer: The `MetaTrainer`.
    """

    def __init__(self, strategy, trainer):
        self.strategy, self.trainer = strategy, trainer
        directory = strategy.directory
        if directory is None:
            self._scratch = tempfile.TemporaryDirectory()
            directory = self._scratch.name
        self.files = RunDirectory(directory)
        try:
            self.files.open(
                {
                    "run": strategy.description or self._describe(),
                    "versions": versions(),
                    "metadata": strategy.metadata,
                }
            )
            self.rows = self.files.rows()
            replay.check(self.rows, strategy, self.files.path / SUMMARY)
        except BaseException:
            self.clean()
            raise
        # Which checkpoint the trainer's weights are: the run's first weights,
        # or, in a run that is taken up again, none.
        self._weights = None if self.rows else ""

    def prepare(self):
        """Readies the trainer for the next period and returns the `Period`."""
        strategy, trainer = self.strategy, self.trainer
        period = strategy.next(self.rows)
        if period is None:
            return None
        if period.start != self._weights:
            self.load(period.start)
        seed = (strategy.seed, period.stage, period.period, period.attempt)
        trainer.set_episodes(**strategy.episodes(period), seed=seed)
        trainer.set_validation(**strategy.validation(period))
        trainer.imitation_weight.assign(period.imitation_weight)
        _reseed(trainer, seed)
        self.steps, self.figures = [], {}
        self._began = time.perf_counter()
        return period

    def log(self, step, logs):
        """Takes down the logs of one outer step."""
        figures = {name: float(value) for name, value in logs.items()}
        self.steps.append({"step": step, **figures})

    def load(self, name):
        """Gives the trainer the weights after a finished period."""
        (row,) = (row for row in self.rows if row.checkpoint == name)
        self.files.load_checkpoint(self.trainer, name, row.sha256)
        if not self._is_sound():
            raise RunError(
                f"Checkpoint {name} in {self.files.path} has weights that are "
                f"not finite. {WAY_OUT}"
            )
        self._weights = name

    def commit(self, period):
        """Puts the period on disk. Its row in `summary.csv` comes last."""
        validation = self.figures["val_log_loss"]
        sound = self._is_sound()
        if np.isnan(validation) or not sound:
            validation = float("inf")  # NaN would be neither more nor less
        name = replay.name_of(period)
        kept = self.strategy.keeps(self.rows, validation)
        if kept and not sound:
            raise RunError(
                f"The student is not finite after period {name}, and the "
                f"plan has no other attempt at it. What {self._place} "
                "has is from before. Take a smaller rate of the outer "
                "optimizer, or another seed, and a new directory."
            )
        if self.steps:
            self.files.write_log(name, self.steps)
        digest = ""
        if kept:
            digest = self.files.save_checkpoint(self.trainer, name)
        self._weights = name if kept else None
        row = Row(
            period,
            validation,
            kept,
            name if kept else "",
            self.figures,
            time.perf_counter() - self._began,
            digest,
        )
        self.rows = [*self.rows, row]
        self.files.write_rows(self.rows)
        self.save_if_best(row)
        self.files.keep_checkpoints(self.rows, self.strategy.needed(self.rows))

    def save_if_best(self, row):
        """Saves the optimizer after the last period, if it is the best."""
        if self.strategy.best(self.rows) is row:
            self.files.save_optimizer(*self._optimizer(row))

    def close(self):
        """Gives the trainer the best student, and saves it once more.

        A kill may have come between the last row and its optimizer.
        """
        best = self.strategy.best(self.rows)
        if best is not None:
            if best.checkpoint != self._weights:
                self.load(best.checkpoint)
            self.files.save_optimizer(*self._optimizer(best))
        self.clean()

    def clean(self):
        """Gives up what was only for the time of the run."""
        self.files.close()
        if self.strategy.directory is None:
            self._scratch.cleanup()

    def _optimizer(self, row, student=None, **more):
        """The optimizer after a period, the last run, and its metadata."""
        use = self.strategy.validation(row.period)
        optimizer = LearnedOptimizer(
            student or self.trainer.student.copy(),
            warmup_steps=use["warmup"] * use["unroll"],
            warmup_rate=use["warmup_rate"],
        )
        metadata = {
            **self.strategy.metadata,
            **self._describe(),
            "data": {p.name: p.digest() for p in self.trainer.problems},
            "versions": versions(),
            "checkpoint": row.checkpoint,
            "outer_steps": sum(row.period.steps for row in self.rows),
            "figures": {
                name: value
                for name, value in row.figures.items()
                if name.startswith("val_") and np.isfinite(value)
            },
            **more,
        }
        return optimizer, metadata

    def _first_student(self):
        return self.trainer.student

    def _is_sound(self):
        """Whether there is a student to go on with."""
        return is_finite(self.trainer.student)

    @property
    def _place(self):
        return self.strategy.directory or "the run"

    def _describe(self):
        """What the run is made of, in what JSON can hold."""
        serialize, trainer = keras.saving.serialize_keras_object, self.trainer
        return {
            "strategy": {
                "name": type(self.strategy).__name__.lower(),
                **self.strategy.get_config(),
            },
            "student": serialize(self._first_student()),
            "teachers": {
                name: serialize(teacher)
                for name, teacher in zip(
                    trainer.teacher_names, trainer.teachers
                )
            },
            "problems": [problem.name for problem in trainer.problems],
        }


def is_finite(policy):
    """Whether all weights of a policy are finite."""
    return all(np.isfinite(weight).all() for weight in policy.get_weights())


def _reseed(trainer, key):
    """Makes all that the compiled step draws a function of the period."""
    states = [
        variable
        for variable in trainer.non_trainable_variables
        if variable.name == "seed_generator_state"
    ]
    draw = np.random.default_rng([*key, len(states)])
    for state in states:
        first = int(draw.integers(2**31))
        state.assign(np.array([first, 0], state.dtype))
