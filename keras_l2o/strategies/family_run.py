import numpy as np

from keras_l2o import hub
from keras_l2o.strategies.run import Run
from keras_l2o.strategies.run import is_finite


class FamilyRun(Run):
    """A run of several replicates at once: one plan, an optimizer each.

    Replicate `i`, from 1, has its optimizer in the folder `<i>/optimizer` of
    the run's directory, from the period in which its own validation was best.
    """

    def prepare(self):
        if self._weights is None and self.rows:
            # A kill may have come between the last row and its optimizers.
            self.load(self.rows[-1].checkpoint)
            self.save_if_best(self.rows[-1])
        return super().prepare()

    def save_if_best(self, row):
        for index in range(self.trainer.replicates):
            if self._best(index) is not row:
                continue
            if self.files.checkpoint_of(index + 1) == row.checkpoint:
                continue
            name = f"val_log_loss_replicate_{index}"
            figures = {
                key: value
                for key, value in row.figures.items()
                if key.startswith("val_")
                and "_replicate_" not in key
                and np.isfinite(value)
            }
            optimizer, metadata = self._optimizer(
                row,
                self.trainer.student(index),
                replicate=index + 1,
                seed=self.strategy.seed + index,
                figures={**figures, "val_log_loss": row.figures[name]},
            )
            self.files.save_optimizer(optimizer, metadata, index + 1)

    def _best(self, index):
        """The row with the best student of one replicate, if there is one."""
        name = f"val_log_loss_replicate_{index}"
        finite = [r for r in self.rows if np.isfinite(r.figures[name])]
        return min(finite, key=lambda r: r.figures[name]) if finite else None

    def close(self):
        """Gives the trainer each replicate's best student: its folder's."""
        for replicate, folder in self.files.optimizers().items():
            index = int(replicate) - 1
            student = self.trainer.student(index)
            stored = hub.folder.read(folder)[hub.folder.WEIGHTS]
            hub.weights.unpack(stored, student)
            self.trainer.set_student(index, student.get_weights())
        self.clean()

    def _first_student(self):
        return self.trainer.template.student

    def _is_sound(self):
        count = self.trainer.replicates
        return any(is_finite(self.trainer.student(i)) for i in range(count))
