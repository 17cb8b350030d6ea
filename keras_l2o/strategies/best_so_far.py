import numpy as np

from keras_l2o import hub
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.version import versions


class BestSoFar:
    """Keeps the best student of a run in its directory, or that of each.

    Of one student it is the row that the strategy calls the best; of
    replicates, for each the row of its own least validation loss, all of one
    stage. Replicate `i`, from 1, has its optimizer in `<i>/optimizer`.

    Args:
        strategy: The `Strategy`.
        trainer: The `MetaTrainer`.
        files: The `RunDirectory`.
        describe: Function that returns what the run is made of, a dict.
    """

    def __init__(self, strategy, trainer, files, describe):
        self.strategy, self.trainer, self.files = strategy, trainer, files
        self._describe = describe
        count = trainer.replicates
        self._students = [None] if count is None else range(count)

    def save(self, rows):
        """Saves the student after the last row, of each that is at its best.

        The trainer has the weights after that row. What is saved already is
        left as it is.
        """
        for index in self._students:
            if self._best(rows, index) is rows[-1]:
                self._save(rows, index)

    def give_back(self, rows, load):
        """Gives the trainer the best student, or its best to each.

        Args:
            rows: List of `Row`.
            load: Function that gives the trainer the weights after a row.
        """
        if self.trainer.replicates is None:
            best = self._best(rows, None)
            if best is not None:
                load(best.checkpoint)
                # A kill may have come between the row and its optimizer.
                self._save(rows, None)
            return
        for replicate, folder in self.files.optimizers().items():
            student = self.trainer.student.copy()
            hub.weights.unpack(
                hub.folder.read(folder)[hub.folder.WEIGHTS], student
            )
            self.trainer.set_student(student.get_weights(), int(replicate) - 1)

    def _best(self, rows, index):
        if index is None:
            return self.strategy.best(rows)
        name = _loss_of(index)
        finite = [row for row in rows if np.isfinite(row.figures[name])]
        return min(finite, key=lambda r: r.figures[name]) if finite else None

    def _save(self, rows, index):
        row = self._best(rows, index)
        replicate = "" if index is None else index + 1
        if self.files.checkpoint_of(replicate) == row.checkpoint:
            return
        period = self.strategy.validation_of(row.period)
        optimizer = LearnedOptimizer(
            self.trainer.get_student(index),
            warmup_steps=period["warmup"] * period["unroll"],
            warmup_rate=period["warmup_rate"],
        )
        self.files.save_optimizer(
            optimizer, self._metadata(rows, row, index), replicate
        )

    def _metadata(self, rows, row, index):
        figures = {
            name: value
            for name, value in row.figures.items()
            if name.startswith("val_")
            and "_replicate_" not in name
            and np.isfinite(value)
        }
        own = {}
        if index is not None:
            figures["val_log_loss"] = row.figures[_loss_of(index)]
            own = {
                "replicate": index + 1,
                "seed": self.strategy.seed + index,
            }
        return {
            **self.strategy.metadata,
            **self._describe(),
            "data": {p.name: p.digest() for p in self.trainer.problems},
            "versions": versions(),
            "checkpoint": row.checkpoint,
            "outer_steps": sum(
                self.strategy.outer_steps(other.period) for other in rows
            ),
            "figures": figures,
            **own,
        }


def _loss_of(index):
    """The name of a replicate's validation loss among the figures."""
    return f"val_log_loss_replicate_{index}"
