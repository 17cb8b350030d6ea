"""One task of an outer step: an optimizee that student and teachers train.

Everything here maps tensors to tensors. An estimator asks a `Task` to run its
truncation with some weights of the student, and makes a `TaskResult` of it.
"""

from typing import Any
from typing import NamedTuple

from keras import ops

from keras_l2o import numerics
from keras_l2o.training import inner_loop


class Distillation(NamedTuple):
    """What stays the same from one outer step to the next."""

    student: Any  # Policy
    teachers: list  # of policies
    objective: Any  # Objective
    unroll: int  # inner steps of a truncation
    scaled: bool = False  # whether the student sees scaled coordinates
    warmup_rate: Any = None  # float, or None if no truncation warms up
    synchronize_teachers: bool = False
    perturbations: Any = ()  # list of Perturbation
    compare: bool = False  # whether to measure the lead over the teachers
    log_losses: bool = False  # whether to measure the teachers' losses
    log_teachers: bool = False  # whether to measure which is furthest
    rematerialize: bool = False  # as in `backend.scan`

    @property
    def pool(self):
        return (self.student, *self.teachers)


class Tensors(NamedTuple):
    """The values that an outer step starts from, the same for all tasks."""

    weights: list  # of the student's trainable variables
    frozen: list  # of the student's other variables
    teachers: list  # of lists, of each teacher's variables
    offsets: list  # what perturbations add to the weights, by inner step
    meta_weight: Any  # scalar
    imitation_weight: Any  # scalar


class Truncation(NamedTuple):
    """The result of running a truncation."""

    trajectories: tuple  # the student's, and one of each teacher
    records: inner_loop.Records
    losses: Any  # (3,): total, meta and imitation loss


class Figures(NamedTuple):
    """What is reported of a truncation, or of several together."""

    finite: Any  # bool: whether the student and its losses are finite
    losses: Any  # (3,): total, meta and imitation loss
    dead_teachers: Any  # how many diverged
    negative: Any  # in how many inner steps a loss had no logarithm
    measures: dict  # name: (means, weights), a row of one a teacher each
    # The meta loss that each teacher would have, or empty.
    teachers: Any = ()

    def leads(self):
        """How far the student's meta loss is above the best teacher's.

        If there is no teacher, how far it is above zero, that of a student
        that leaves the first parameters as they are.
        """
        meta = self.losses[..., 1]
        if isinstance(self.teachers, tuple) or not self.teachers.shape[-1]:
            return meta
        return meta - ops.min(self.teachers, axis=-1)

    def combined(self, reduce):
        """Figures of one from those of many, stacked along a first axis.

        Args:
            reduce: `keras.ops.sum` or `keras.ops.mean`: what is made of losses
                and counts.
        """
        return Figures(
            finite=ops.all(self.finite),
            losses=reduce(self.losses, axis=0),
            dead_teachers=reduce(self.dead_teachers, axis=0),
            negative=reduce(self.negative, axis=0),
            measures={
                name: _weighted_mean(means, weights)
                for name, (means, weights) in self.measures.items()
            },
            teachers=()
            if isinstance(self.teachers, tuple)
            else reduce(self.teachers, axis=0),
        )


class TaskResult(NamedTuple):
    """What one task leaves; stacked over tasks by the outer loop."""

    gradients: list  # one a weight
    carried: Any  # what the next outer step goes on from
    counts: Any  # bool: whether the gradients count
    figures: Figures


class Task(NamedTuple):
    """What an estimator knows of one task in one outer step."""

    distillation: Distillation
    problem: Any  # Problem
    tensors: Tensors
    data: dict  # of `Episodes`, one task's
    carried: Any  # what the estimator left at the last outer step
    noise: list  # of what is added to the gradients that the student sees
    drawn: Any  # what the estimator has drawn for this task

    def fresh(self):
        """Every optimizer's trajectory at the start of the episode."""
        return fresh_trajectories(
            self.distillation.pool, self.problem, self.data
        )

    def together(self, trajectories):
        """The trajectories that a truncation starts from.

        If teachers are synchronized, they start at the student's parameters;
        otherwise at their own.
        """
        student, *teachers = trajectories
        if self.distillation.synchronize_teachers:
            teachers = [
                teacher._replace(
                    parameters=ops.stop_gradient(student.parameters),
                    non_trainable=tuple(
                        ops.stop_gradient(value)
                        for value in student.non_trainable
                    ),
                )
                for teacher in teachers
            ]
        return (student, *teachers)

    def run(self, weights, trajectories, part=None):
        """Runs the truncation with these weights of the student.

        Args:
            weights: List of tensors.
            trajectories: Where student and teachers start.
            part: `keras_l2o.training.inner_loop.Part`, what this truncation is
                of the steps that the objective weighs together. Defaults to
                `None`, all of them.

        Returns:
            A `Truncation`. Its losses can be differentiated by the weights.
        """
        distillation, tensors = self.distillation, self.tensors
        reached, records = inner_loop.unroll(
            distillation,
            self.problem,
            [[*weights, *tensors.frozen], *tensors.teachers],
            trajectories,
            inner_loop.Inputs(
                self.data["batches"], tensors.offsets, self.noise
            ),
            inner_loop.Conditions(
                self.data["scale"] if distillation.scaled else None,
                warming(distillation.warmup_rate, self.data),
            ),
            part,
        )
        losses = distillation.objective(
            records,
            ops.cast(tensors.meta_weight, records.losses.dtype),
            ops.cast(tensors.imitation_weight, records.losses.dtype),
            self.data["draw"],
        )
        return Truncation(reached, records, ops.stack(losses))

    def differentiated(self):
        """This task with what the objective's total depends on alone."""
        distillation = self.distillation
        if distillation.objective.imitates:
            return self
        alone = distillation._replace(
            teachers=[], compare=False, log_losses=False, log_teachers=False
        )
        return self._replace(distillation=alone)

    def next_start(self, truncation, finite):
        """Where each optimizer goes on: afresh if it is not finite any more."""
        fresh = self.fresh()
        student, *teachers = truncation.trajectories
        alive = truncation.records.alive[-1]
        ends = [numerics.select(finite, student, fresh[0])]
        for index, teacher in enumerate(teachers):
            goes_on = ops.logical_and(finite, alive[index])
            ends.append(numerics.select(goes_on, teacher, fresh[1 + index]))
        return tuple(ends)

    def figures(self, truncation):
        """The `Figures` of a truncation."""
        records = truncation.records
        lowest = ops.minimum(records.losses, records.initial_losses)
        negative = ops.logical_and(lowest < 0, records.running)
        return Figures(
            finite=numerics.all_finite(
                [records.losses, truncation.trajectories[0], truncation.losses]
            ),
            losses=truncation.losses,
            dead_teachers=ops.sum(1.0 - ops.cast(records.alive[-1], "float32")),
            negative=ops.sum(ops.cast(negative, "float32")),
            measures=_measures(self.distillation, records),
            teachers=self._teachers(records),
        )

    def no_figures(self):
        """The `Figures` of a truncation that is left out."""
        distillation = self.distillation
        number = ops.zeros((), self.problem.dtype)
        row = ops.zeros((len(distillation.teachers),), self.problem.dtype)
        names = {
            "loss": distillation.log_losses,
            "furthest": distillation.log_teachers,
        }
        return Figures(
            finite=ops.convert_to_tensor(True),
            losses=ops.stack([number] * 3),
            dead_teachers=ops.zeros((), "float32"),
            negative=ops.zeros((), "float32"),
            measures={name: (row, row) for name in names if names[name]},
            teachers=row if distillation.compare else (),
        )

    def _teachers(self, records):
        """The meta loss of each teacher, had its losses been the student's."""
        distillation = self.distillation
        if not distillation.compare:
            return ()
        count = records.teacher_losses.shape[-1]
        losses = [
            distillation.objective.meta_loss(
                records._replace(losses=records.teacher_losses[:, index])
            )
            for index in range(count)
        ]
        row = ops.stack(losses) if losses else records.teacher_losses[0]
        # One that has diverged is no rival.
        return ops.where(ops.isfinite(row), row, ops.full_like(row, 1e6))

    def result(self, gradients, carried, figures, counts=None):
        """The `TaskResult`, which counts unless the task warms up.

        Args:
            gradients: List of tensors, one a weight.
            carried: Nest of tensors, of the structure of `Estimator.start`.
            figures: `Figures`.
            counts: Boolean scalar, whether the gradients count. Defaults to
                whether everything is finite.
        """
        counts = figures.finite if counts is None else counts
        # A truncation that warms up does not depend on the weights.
        warms_up = ops.all(self.data["warming"])
        counts = ops.logical_and(counts, ops.logical_not(warms_up))
        return TaskResult(gradients, carried, counts, figures)


def fresh_trajectories(pool, problem, data):
    """Every policy's trajectory at the start of an episode."""
    non_trainable = [
        data["non_trainable"][str(index)]
        for index in range(len(data["non_trainable"]))
    ]
    return tuple(
        inner_loop.start(
            policy,
            problem,
            data["parameters"],
            non_trainable,
            data["total_steps"],
        )
        for policy in pool
    )


def warming(rate, data):
    """The argument `warming` of the inner loop, on the data of one task."""
    return None if rate is None else (data["warming"], rate)


def _measures(distillation, records):
    """Figures of each teacher: their means, and how many steps each is of."""
    measures = {}
    dtype = records.losses.dtype
    if distillation.log_losses:
        alive = ops.cast(records.alive, dtype)
        measures["loss"] = _weighted_mean(records.teacher_losses, alive)
    if distillation.log_teachers:
        lowest = ops.full_like(records.log_distances, float("-inf"))
        furthest = ops.argmax(
            ops.where(records.alive, records.log_distances, lowest), axis=-1
        )
        teachers = len(distillation.teachers)
        counts = ops.logical_and(
            records.running, ops.any(records.alive, axis=-1)
        )
        counts = ops.repeat(ops.cast(counts, dtype)[:, None], teachers, axis=1)
        measures["furthest"] = _weighted_mean(
            ops.one_hot(furthest, teachers, dtype=dtype), counts
        )
    return measures


def _weighted_mean(values, weights):
    """Means over the first axis of what has a weight, and the weights' sums."""
    total = ops.sum(weights, axis=0)
    values = ops.where(weights > 0, values, ops.zeros_like(values))
    return ops.sum(values * weights, axis=0) / ops.maximum(total, 1.0), total
