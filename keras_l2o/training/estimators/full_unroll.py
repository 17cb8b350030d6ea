from collections.abc import Sequence

import keras
from keras import ops

from keras_l2o import backend
from keras_l2o.training.estimators.estimator import Estimator
from keras_l2o.training.inner_loop import Part
from keras_l2o.training.inner_loop import Trajectory
from keras_l2o.training.task import Task
from keras_l2o.training.task import TaskResult
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_l2o")
class FullUnroll(Estimator):
    """Differentiates a whole episode, for its exact gradient.

    An outer step is an episode of up to `depth` truncations of `unroll` inner
    steps. With `s_k(w)`, the state after `k` inner steps of a student of the
    weights `w`, the estimate is the gradient

        d/dw L(s_1(w), ..., s_H(w))

    of the objective over all `H` inner steps of the episode, whose losses are
    relative to those of the episode's first parameters. Each task draws its
    horizon `H` log-uniformly from `unroll` times the range of `depth`. One
    compiled program serves every horizon: truncations after it are left out,
    and so are the inner steps after it in the last one. On JAX, those of
    several tasks that are mapped over are computed all the same.

    The backward pass goes from the last truncation to the first, and computes
    each again from its start. So memory holds all inner steps of one
    truncation only, and of every other the state that it starts from.

    If `synchronize_teachers` is set, teachers start each truncation at the
    student's parameters; no gradient flows through these.

    Example:

    >>> trainer = keras_l2o.MetaTrainer(
    ...     problems="quadratic_10",
    ...     depth=(1, 4),
    ...     estimator=keras_l2o.training.estimators.FullUnroll())
    >>> trainer.episodes.steps  # inner steps of an outer step
    400

    Reference:
        - [Griewank, 1992](https://doi.org/10.1080/10556789208805505), for
          computing parts of the episode again
    """

    whole_episodes = True

    def start(
        self, trajectories: tuple[Trajectory, ...], weights: Sequence[Tensor]
    ) -> Nest:
        return ()  # every outer step starts afresh

    def estimate(self, task: Task, weights: Sequence[Tensor]) -> TaskResult:
        parts, depth = _truncations(task)
        fresh = task.fresh()
        reduced = task.differentiated()
        count = len(reduced.distillation.pool)

        def run(task, weights, start, part):
            trajectories, running = start
            truncation = task._replace(
                data={**task.data, **part["data"]},
                tensors=task.tensors._replace(offsets=part["offsets"]),
                noise=part["noise"],
            )
            end = truncation.run(
                weights,
                truncation.together(trajectories),
                Part(fresh[0], running, part["index"], task.data["horizon"]),
            )
            return truncation, end

        def counts(part):
            return part["index"][0] < task.data["horizon"]

        def forward(start, part):
            def ahead():
                truncation, end = run(task, weights, start, part)
                # A student that is not finite goes on, too: its figures then
                # are not finite, and the task's gradient does not count.
                goes_on = ops.convert_to_tensor(True)
                reached = truncation.next_start(end, goes_on)
                goes_on = end.records.goes_on[-1]
                return (reached, goes_on), truncation.figures(end)

            reached, figures = backend.only_if(
                counts(part), ahead, (start, task.no_figures())
            )
            trajectories, running = start
            return reached, ((trajectories[:count], running), figures)

        def backward(carry, inputs):
            return (
                backend.only_if(
                    counts(inputs[1]), lambda: back(carry, inputs), carry
                ),
                (),
            )

        def back(carry, inputs):
            gradients, slopes = carry
            (trajectories, running), part = inputs

            def loss(variables):
                weights = variables[: len(gradients)]
                student = _with_floats(
                    trajectories[0], variables[len(gradients) :]
                )
                start = ((student, *trajectories[1:]), running)
                _, end = run(reduced, weights, start, part)
                # The later truncations' objective as a function of this
                # one's end, to first order.
                later = [
                    ops.sum(leaf * slope)
                    for leaf, slope in zip(_floats(end.trajectories[0]), slopes)
                ]
                return end.losses[0] + sum(later), ()

            _, found = backend.value_and_grad(loss)(
                [*weights, *_floats(trajectories[0])]
            )
            own = len(gradients)
            total = [a + b for a, b in zip(gradients, found[:own])]
            return total, found[own:]

        first = (fresh, ops.convert_to_tensor(True))
        _, (starts, figures) = backend.scan(forward, first, parts, depth)
        zeros = keras.tree.map_structure(
            ops.zeros_like, (list(weights), _floats(fresh[0]))
        )
        last_to_first = keras.tree.map_structure(
            lambda leaf: ops.flip(leaf, 0), (starts, parts)
        )
        (gradients, _), _ = backend.scan(
            backward, zeros, last_to_first, depth, outputs=()
        )
        return task.result(gradients, (), figures.combined(ops.sum))


def _truncations(task):
    """An episode's data with a first axis over truncations, and its length."""
    unroll = task.distillation.unroll

    def by_truncation(leaf):
        return ops.reshape(leaf, (-1, unroll, *leaf.shape[1:]))

    parts = keras.tree.map_structure(
        by_truncation,
        {
            "data": {"batches": task.data["batches"]},
            "offsets": task.tensors.offsets,
            "noise": task.noise,
        },
    )
    depth = keras.tree.flatten(parts["data"])[0].shape[0]
    parts["data"]["warming"] = task.data["warming"]
    parts["index"] = by_truncation(ops.arange(depth * unroll, dtype="int32"))
    return parts, depth


def _floats(trajectory):
    """The leaves of floating-point numbers, which gradients flow through."""
    return [leaf for leaf in keras.tree.flatten(trajectory) if _is_float(leaf)]


def _with_floats(trajectory, floats):
    """The trajectory with these tensors in place of its `_floats`."""
    floats = iter(floats)
    return keras.tree.map_structure(
        lambda leaf: next(floats) if _is_float(leaf) else leaf, trajectory
    )


def _is_float(leaf):
    return "float" in keras.backend.standardize_dtype(leaf.dtype)
