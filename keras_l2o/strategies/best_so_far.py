import numpy as np

from keras_l2o import hub
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.version import versions


class BestSoFar:
    """Keeps the best student of a run in the run's directory.

    If the trainer has one student, the best is the one after the period that
    the strategy calls the best, and it is stored in `optimizer`. If it has
    replicates, the best of each is the one after the period with that
    replicate's own least validation loss, and that of replicate `i`, counted
    from 1, is stored in `<i>/optimizer`.

    Args:
        strategy: The `Strategy`.
        trainer: The `MetaTrainer`.
        files: The `RunDirectory`.
        describe: Function without arguments that returns a dict of what the
            run is made of, for the metadata of the stored optimizer.
    """

    def __init__(self, strategy, trainer, files, describe):
        self.strategy, self.trainer, self.files = strategy, trainer, files
        self._describe = describe
        count = trainer.replicates
        #: What the trainer's students are called by: `get_student` takes it.
        self.students = [None] if count is None else range(count)

    def save(self, rows):
        """Saves each student that is better than ever after the last row.

        The trainer must have the weights after that row. An optimizer that is
        saved already is not written again.

        Args:
            rows: List of `Row`, of all finished periods.
        """
        for index in self.students:
            if self._best(rows, index) is rows[-1]:
                self._save(rows, index)

    def give_back(self, rows, load):
        """Gives the trainer the best weights of its student, or of each.

        Args:
            rows: List of `Row`, of all finished periods.
            load: Function that takes the name of a checkpoint and gives the
                trainer its weights.
        """
        if self.trainer.replicates is None:
            best = self._best(rows, None)
            if best is not None:
                load(best.checkpoint)
                # The process may have been killed after it had written the
                # row and before it had written the optimizer.
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
                self.strategy.outer_steps(other.period)
                for other in rows[: rows.index(row) + 1]
            ),
            "figures": figures,
            **own,
        }


def _loss_of(index):
    """The name of a replicate's validation loss among the figures."""
    return f"val_log_loss_replicate_{index}"
