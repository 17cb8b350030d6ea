import warnings

import keras
from keras import ops


class Logs:
    """The metrics of meta-training, under the names that `fit` reports.

    Args:
        teacher_names: List of strings.
        measures: List of any of `"loss"` and `"furthest"`, what is reported
            of each teacher. Defaults to none.
    """

    def __init__(self, teacher_names, measures=()):
        mean, total = keras.metrics.Mean, keras.metrics.Sum
        self.losses = [
            mean(name=name) for name in ("loss", "meta_loss", "imitation_loss")
        ]
        self.skipped_updates = total(name="skipped_updates")
        self.diverged_tasks = total(name="diverged_tasks")
        self.diverged_teachers = total(name="diverged_teachers")
        self.replaced_batches = total(name="replaced_batches")
        self.negative_losses = total(name="negative_losses")
        self.teachers = {
            measure: [mean(name=f"{name}_{measure}") for name in teacher_names]
            for measure in measures
        }
        self.validation = [
            mean(name="_".join(filter(None, (name, "log_loss"))))
            for name in ("", *teacher_names)
        ]
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError(
                "Argument `teachers` must name them so that the logs' keys "
                f"differ. Received: teachers named {list(teacher_names)}, "
                f"which gives the keys {sorted(names)}"
            )

    @property
    def training(self):
        return [
            *self.losses,
            self.skipped_updates,
            self.diverged_tasks,
            self.diverged_teachers,
            self.replaced_batches,
            self.negative_losses,
            *(metric for row in self.teachers.values() for metric in row),
        ]

    @property
    def metrics(self):
        return [*self.training, *self.validation]

    @property
    def variables(self):
        return [v for metric in self.metrics for v in metric.variables]

    def update_tasks(self, results, replaced_batches):
        """Adds the results of a problem's tasks to the metrics.

        Args:
            results: `TaskResult`, stacked over the tasks.
            replaced_batches: `(tasks,)`, how many batches were not finite.
        """
        figures = results.figures
        weight = ops.cast(results.counts, "float32")
        for index, metric in enumerate(self.losses):
            metric.update_state(
                ops.where(results.counts, figures.losses[:, index], 0.0),
                sample_weight=weight,
            )
        self.diverged_tasks.update_state(
            1.0 - ops.cast(figures.finite, "float32")
        )
        self.diverged_teachers.update_state(figures.dead_teachers)
        self.replaced_batches.update_state(replaced_batches)
        self.negative_losses.update_state(figures.negative)
        for measure, metrics in self.teachers.items():
            means, weights = figures.measures[measure]
            for index, metric in enumerate(metrics):
                metric.update_state(
                    ops.where(results.counts, means[:, index], 0.0),
                    sample_weight=weight * weights[:, index],
                )

    @property
    def teacher_variables(self):
        """Those of the teachers' metrics of validation, the last of all."""
        return [v for metric in self.validation[1:] for v in metric.variables]

    def update_validation(self, log_losses, last, policies):
        """Adds the log losses at the end of rollouts to the metrics.

        Args:
            log_losses: `(tasks, policies)`.
            last: `(tasks,)` booleans, whether the rollout ends here.
            policies: Tuple of ints, of which policies these losses are: 0 is
                the student.
        """
        weight = ops.cast(last, "float32")
        for index, policy in enumerate(policies):
            self.validation[policy].update_state(
                ops.where(last, log_losses[:, index], 0.0),
                sample_weight=weight,
            )


class _Watch(keras.callbacks.Callback):
    """Warns once of losses that have no logarithm."""

    _quiet = True

    def on_epoch_end(self, epoch, logs=None):
        count = float((logs or {}).get("negative_losses", 0.0))
        if count > 0.0 and self._quiet:
            self._quiet = False
            warnings.warn(
                f"In {count:g} inner steps of epoch {epoch + 1} the loss was "
                "negative: `val_log_loss`, and an `Objective` of kind 'log', "
                "take all such losses for 1e-30, and see no difference "
                "between them. Add a constant to the problem's loss that "
                "keeps it above zero. `Objective(kind='ratio', "
                "relative=False)` trains on the loss as it is.",
                stacklevel=2,
            )


def watched(callbacks):
    """A fit's callbacks, and one that warns where losses are negative."""
    return [*keras.tree.flatten(callbacks or []), _Watch()]
