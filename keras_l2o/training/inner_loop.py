"""The inner loop: student and teachers train an optimizee, as pure functions.

Everything here maps tensors to tensors. One task is one optimizee in one
episode; `MetaTrainer` maps over tasks and carries what is returned here.
"""

from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import backend
from keras_l2o import numerics


class Trajectory(NamedTuple):
    """Where one optimizer stands on one optimizee."""

    parameters: Any  # (n,), all trainable coordinates
    non_trainable: tuple  # the model's other variables
    state: Any  # the policy's state


class Records(NamedTuple):
    """What an unroll leaves for the objective, one row an inner step."""

    losses: Any  # (unroll,), the student's, before each update
    initial_losses: Any  # (unroll,), of the first parameters, same batches
    log_distances: Any  # (unroll, teachers), after each update
    alive: Any  # (unroll, teachers), whether the teacher is still finite
    teacher_losses: Any  # (unroll, teachers), before each update
    running: Any = None  # (unroll,), whether the step counts
    goes_on: Any = None  # (unroll,), whether the student does after the step
    index: Any = None  # (unroll,), the step's number in what is weighed
    horizon: Any = None  # scalar, how many steps are weighed together


def initial_state(policy, problem):
    """A policy's state before the first inner step on a problem.

    A coordinatewise policy runs over all coordinates as one tensor.
    """
    if policy.coordinatewise:
        return policy.initial_state([ops.zeros((problem.size,), problem.dtype)])
    return policy.initial_state(
        [ops.zeros(shape, problem.dtype) for shape in problem.trainable_shapes]
    )


def start(policy, problem, parameters, non_trainable):
    """A trajectory at its first parameters."""
    return Trajectory(
        parameters, tuple(non_trainable), initial_state(policy, problem)
    )


def policy_step(
    policy, values, problem, gradient, parameters, state, training=False
):
    """Runs a policy on flat coordinates, with these values for its weights.

    `training` is `Policy.update`'s.

    Returns:
        The update `(n,)`, to be subtracted, and the new state.
    """
    with _weights(policy, values):
        if policy.coordinatewise:
            (update,), state = policy.update(
                [gradient], [parameters], state, training
            )
            return update, state
        updates, state = policy.update(
            problem.unravel(gradient),
            problem.unravel(parameters),
            state,
            training,
        )
        return problem.ravel(updates), state


def warm_up_step(policy, values, problem, gradient, parameters, state):
    """State of a policy after a step that plain gradient descent made."""
    with _weights(policy, values):
        if policy.coordinatewise:
            return policy.warm_up([gradient], [parameters], state)
        return policy.warm_up(
            problem.unravel(gradient), problem.unravel(parameters), state
        )


def policy_variables(policy):
    """A policy's variables, those that the outer loop trains first."""
    return policy.trainable_variables + policy.non_trainable_variables


def _weights(policy, values):
    return keras.StatelessScope(
        state_mapping=list(zip(policy_variables(policy), values))
    )


def mean_square(student, teacher):
    """The distance of two optimizers' parameters, unless told otherwise."""
    return ops.mean(ops.square(student - teacher))


def inner_step(
    problem,
    policy,
    values,
    trajectory,
    batch,
    scale,
    warming,
    noise=None,
    training=False,
):
    """One inner step of one optimizer.

    Args:
        problem: The `Problem`.
        policy: The `Policy`.
        values: Tensors for `policy_variables(policy)`.
        trajectory: `Trajectory` before the step.
        batch: Nest of tensors, one batch.
        scale: `(n,)` or `None`. The policy sees the coordinates divided by
            it: `f(scale * x)` as a function of `x`.
        warming: `None`, or a pair of a boolean scalar and a rate: where it
            holds, the update is the gradient times the rate.
        noise: `(n,)` or `None`. Added to the gradient that the policy sees.
        training: Bool. Whether the policy is the student of this step.
            Defaults to `False`.

    Returns:
        The loss before the step, and the trajectory after it.
    """

    def loss(variables, non_trainable):
        return problem.loss_value(
            problem.unravel(variables[0]), list(non_trainable), batch
        )

    (value, non_trainable), (gradient,) = backend.value_and_grad(
        backend.unrolled(loss)
    )([trajectory.parameters], trajectory.non_trainable)
    parameters = trajectory.parameters
    seen = (gradient, parameters)
    if scale is not None:
        seen = (gradient * scale, parameters / scale)
    if noise is not None:
        seen = (seen[0] + noise, seen[1])
    update, state = policy_step(
        policy, values, problem, *seen, trajectory.state, training
    )
    if scale is not None:
        update = update * scale
    if warming is not None:
        holds, rate = warming
        update = ops.where(holds, rate * gradient, update)
        state = numerics.select(
            holds,
            warm_up_step(policy, values, problem, *seen, trajectory.state),
            state,
        )
    return value, Trajectory(parameters - update, tuple(non_trainable), state)


def unroll(
    problem,
    student,
    student_values,
    teachers,
    teacher_values,
    trajectories,
    batches,
    length,
    scale=None,
    warming=None,
    offsets=(),
    noise=(),
    distance=mean_square,
    stop_above=None,
    rematerialize=False,
    first=None,
    running=True,
    within=None,
):
    """Runs the student and every teacher over the same batches.

    Args:
        problem: The `Problem`.
        student, teachers: `Policy` and list of policies.
        student_values, teacher_values: Tensors for their `policy_variables`.
            The result can be differentiated by the student's.
        trajectories: The student's `Trajectory`, and a tuple of the teachers'.
        batches: Nest of tensors with a first axis of `length`.
        length: Int. Inner steps.
        scale, warming: As in `inner_step`. Teachers see the unscaled problem.
        offsets: List of tensors `(length, *weight.shape)`, added to the first
            of the student's values, one row an inner step.
        noise: List of at most one tensor `(length, n)`, added to the gradients
            that the student sees.
        distance: Function of the student's and a teacher's parameters, zero
            where they are the same.
        stop_above: Float or `None`. Where the student's loss exceeds this
            multiple of the first parameters', its trajectory stops.
        rematerialize: As in `backend.scan`.
        first: The student's `Trajectory` that losses are relative to.
            Defaults to the one it starts from.
        running: Boolean scalar. Whether the student has not stopped before.
        within: Booleans `(length,)`, true and then false: from where they are
            false nothing moves, and no step counts. Defaults to `None`, all.

    Returns:
        The trajectories after the last step, and `Records`.
    """
    first = trajectories[0] if first is None else first
    may_stop = stop_above is not None or within is not None

    def body(carry, inputs):
        (old_student, teacher_trajectories), alive, running = carry
        batch, step_offsets, step_noise, holds = inputs
        for held in holds:
            running = ops.logical_and(running, held)
        values = [v + offset for v, offset in zip(student_values, step_offsets)]
        values += student_values[len(values) :]
        origin = old_student
        if may_stop:
            # A stopped student steps from where it once was, to no effect:
            # numbers there are finite, and no gradient comes back from it.
            origin = numerics.select(running, old_student, first)
        loss, student_trajectory = inner_step(
            problem,
            student,
            values,
            origin,
            batch,
            scale,
            warming,
            *step_noise,
            training=True,
        )
        initial_loss, _ = problem.loss_value(
            problem.unravel(first.parameters), list(first.non_trainable), batch
        )
        goes_on = running
        if stop_above is not None:
            goes_on = ops.logical_and(
                running, loss <= stop_above * initial_loss
            )
        if may_stop:
            student_trajectory = numerics.select(
                goes_on, student_trajectory, old_student
            )
        reached, survivors, distances, teacher_losses = [], [], [], []
        for index, teacher in enumerate(teachers):
            old = teacher_trajectories[index]
            teacher_loss, new = inner_step(
                problem,
                teacher,
                teacher_values[index],
                old,
                batch,
                None,
                warming,
            )
            gap = distance(student_trajectory.parameters, new.parameters)
            # A teacher that diverges stops where it was: its NaN must reach
            # neither the student nor the distance's gradient.
            survives = ops.logical_and(
                alive[index],
                numerics.all_finite([teacher_loss, gap, new.parameters]),
            )
            for held in holds:
                new = numerics.select(held, new, old)
                survives = ops.where(held, survives, alive[index])
            parameters = backend.kept(
                ops.stop_gradient(
                    ops.where(survives, new.parameters, old.parameters)
                )
            )
            gap = distance(student_trajectory.parameters, parameters)
            reached.append(new._replace(parameters=parameters))
            survivors.append(survives)
            distances.append(numerics.safe_log(gap))
            teacher_losses.append(ops.stop_gradient(teacher_loss))
        alive = ops.stack(survivors) if teachers else alive
        carry = ((student_trajectory, tuple(reached)), alive, goes_on)
        return carry, Records(
            losses=loss,
            initial_losses=ops.stop_gradient(initial_loss),
            log_distances=_stack(distances, loss),
            alive=alive,
            teacher_losses=_stack(teacher_losses, loss),
            running=running,
            goes_on=goes_on,
            index=(),
            horizon=(),
        )

    carry = (
        trajectories,
        ops.ones((len(teachers),), "bool"),
        ops.convert_to_tensor(running, "bool"),
    )
    (trajectories, _, _), records = backend.scan(
        body,
        carry,
        (
            batches,
            list(offsets),
            list(noise),
            [] if within is None else [within],
        ),
        length,
        rematerialize,
        _record(len(teachers), trajectories[0].parameters.dtype),
    )
    return trajectories, records._replace(
        index=ops.arange(length, dtype="int32"),
        horizon=ops.convert_to_tensor(length, "int32"),
    )


def _record(teachers, dtype):
    """Zeros of the shapes and types of an inner step's `Records`."""
    dtype = keras.backend.standardize_dtype(dtype)
    number, truth = ops.zeros((), dtype), ops.zeros((), "bool")
    row, truths = ops.zeros((teachers,), dtype), ops.zeros((teachers,), "bool")
    return Records(
        losses=number,
        initial_losses=number,
        log_distances=row,
        alive=truths,
        teacher_losses=row,
        running=truth,
        goes_on=truth,
        index=(),
        horizon=(),
    )


def _stack(scalars, like):
    if scalars:
        return ops.stack(scalars)
    return ops.zeros((0,), like.dtype)


def rollout(problem, policy, values, trajectory, batches, length, warming=None):
    """Runs one optimizer alone, without a gradient.

    Returns:
        The trajectory after the last step, and the losses `(length,)` before
        each.
    """

    def body(trajectory, batch):
        loss, trajectory = inner_step(
            problem, policy, values, trajectory, batch, None, warming
        )
        return trajectory, loss

    loss = ops.zeros((), trajectory.parameters.dtype)
    return backend.scan(body, trajectory, batches, length, outputs=loss)
