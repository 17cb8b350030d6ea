"""The outer step: what tasks say about the student's weights, and their mean.

Everything here maps tensors to tensors; `MetaTrainer` reads its variables,
calls `outer_gradient` for each problem, and assigns what comes back.
"""

from typing import Any
from typing import NamedTuple

from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.training import inner_loop


class Distillation(NamedTuple):
    """What stays the same from one outer step to the next."""

    student: Any  # Policy
    teachers: list  # of policies
    objective: Any  # Objective
    unroll: int  # inner steps
    scaled: bool  # whether the student sees scaled coordinates
    warmup_rate: Any  # float, or None if no truncation warms up
    synchronize_teachers: bool
    perturbations: list  # of Perturbation
    log_losses: bool  # whether to measure the teachers' losses
    log_teachers: bool  # whether to measure which teacher is furthest
    rematerialize: bool  # as in `backend.scan`


class Tensors(NamedTuple):
    """The values that an outer step starts from."""

    weights: list  # of the student's trainable variables
    frozen: list  # of the student's other variables
    teachers: list  # of lists, of each teacher's variables
    offsets: list  # what perturbations add to the weights, by inner step
    meta_weight: Any  # scalar
    imitation_weight: Any  # scalar


class TaskResult(NamedTuple):
    """What one task leaves; stacked over tasks after `backend.map_tasks`."""

    gradients: list  # one a weight
    trajectories: tuple  # where the next truncation goes on
    finite: Any  # bool: whether the student is, and the losses
    counts: Any  # bool: whether it is finite, and no warm-up
    losses: tuple  # total, meta and imitation loss
    dead_teachers: Any  # how many diverged
    negative: Any  # in how many inner steps a loss had no logarithm
    measures: dict  # name: (means, weights), a row of one a teacher each


def fresh_trajectories(pool, problem, data):
    """Every policy's trajectory at the start of an episode."""
    non_trainable = [
        data["non_trainable"][str(index)]
        for index in range(len(data["non_trainable"]))
    ]
    return tuple(
        inner_loop.start(policy, problem, data["parameters"], non_trainable)
        for policy in pool
    )


def warming(rate, data):
    """The argument `warming` of the inner loop, on the data of one task."""
    return None if rate is None else (data["warming"], rate)


def outer_gradients(distillation, problem, tensors, tasks, carried, count):
    """Outer gradients of a problem's tasks.

    Args:
        distillation, problem, tensors: As in `task_gradient`.
        tasks: Dict, data of `Episodes`, of the tasks that this device runs.
        carried: Trajectories, stacked over all tasks.
        count: Int. Number of all tasks.

    Returns:
        `TaskResult`, stacked over the tasks that this device runs.
    """
    shape = (count, distillation.unroll, problem.size)
    drawn = [
        p.gradient_noise(shape, problem.dtype)
        for p in distillation.perturbations
    ]
    drawn = [noise for noise in drawn if noise is not None]
    carried, noise = backend.share_tasks(
        (carried, [sum(drawn)] if drawn else []), count
    )
    return backend.map_tasks(
        lambda task, tensors: task_gradient(
            distillation, problem, tensors, *task
        ),
        (tasks, carried, noise),
        tensors,
        backend.local_tasks(count),
    )


def task_gradient(distillation, problem, tensors, data, carried, noise=()):
    """Outer gradient of one task, and where its trajectories end.

    Args:
        distillation: `Distillation`.
        problem: `Problem`.
        tensors: `Tensors`.
        data: Dict, one task of `Episodes`.
        carried: Trajectories at the end of the task's last truncation.
        noise: As in `inner_loop.unroll`.

    Returns:
        `TaskResult`.
    """
    pool = (distillation.student, *distillation.teachers)
    fresh = fresh_trajectories(pool, problem, data)
    student, *teachers = numerics.select(data["reset"], fresh, carried)
    if distillation.synchronize_teachers:
        teachers = [
            teacher._replace(
                parameters=student.parameters,
                non_trainable=student.non_trainable,
            )
            for teacher in teachers
        ]

    def objective(weights):
        reached, records = inner_loop.unroll(
            problem,
            distillation.student,
            [*weights, *tensors.frozen],
            distillation.teachers,
            tensors.teachers,
            (student, tuple(teachers)),
            data["batches"],
            distillation.unroll,
            data["scale"] if distillation.scaled else None,
            warming(distillation.warmup_rate, data),
            tensors.offsets,
            noise,
            distillation.objective.distance,
            distillation.objective.stop_above,
            distillation.rematerialize,
        )
        losses = distillation.objective(
            records,
            ops.cast(tensors.meta_weight, records.losses.dtype),
            ops.cast(tensors.imitation_weight, records.losses.dtype),
            data["draw"],
        )
        return losses[0], (reached, records, losses)

    differentiated = backend.value_and_grad(objective)
    weights = tensors.weights
    for perturbation in distillation.perturbations:
        weights = perturbation.attack(weights, lambda w: differentiated(w)[1])
    (_, (reached, records, losses)), gradients = differentiated(weights)
    finite = numerics.all_finite(
        [records.losses, reached[0], ops.stack(losses)]
    )
    alive = records.alive[-1]
    lowest = ops.minimum(records.losses, records.initial_losses)
    return TaskResult(
        gradients=gradients,
        trajectories=_next_start(reached, fresh, finite, alive),
        finite=finite,
        # A truncation that warms up does not depend on the weights.
        counts=ops.logical_and(finite, ops.logical_not(data["warming"])),
        losses=losses,
        dead_teachers=ops.sum(1.0 - ops.cast(alive, "float32")),
        negative=ops.sum(ops.cast(lowest < 0, "float32")),
        measures=_measures(distillation, records),
    )


def _next_start(reached, fresh, finite, alive):
    """Where each optimizer goes on: afresh if it is not finite any more."""
    student, teachers = reached
    ends = [numerics.select(finite, student, fresh[0])]
    for index, teacher in enumerate(teachers):
        goes_on = ops.logical_and(finite, alive[index])
        ends.append(numerics.select(goes_on, teacher, fresh[1 + index]))
    return tuple(ends)


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


def masked_sum(stacked, mask):
    """Sum over the first axis of the entries that the mask holds for."""
    mask = ops.reshape(mask, (-1,) + (1,) * (len(stacked.shape) - 1))
    return ops.sum(ops.where(mask, stacked, ops.zeros_like(stacked)), axis=0)
