"""The inner loop: student and teachers train an optimizee, as pure functions.

Everything here maps tensors to tensors. One task is one optimizee in one
episode; `MetaTrainer` maps over tasks and carries what is returned here.
"""

import functools
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.policies.policy import Horizon


class Trajectory(NamedTuple):
    """Where one optimizer stands on one optimizee."""

    parameters: Any  # (n,), all trainable coordinates
    non_trainable: tuple  # the model's other variables
    state: Any  # the policy's state


class Inputs(NamedTuple):
    """What the inner steps of an unroll take in, a row for each step."""

    batches: Any  # nest of (unroll, ...)
    offsets: Any = ()  # (unroll, *weight.shape), added to the student's weights
    noise: Any = ()  # one (unroll, n) or none, as in `Conditions`


class Conditions(NamedTuple):
    """How inner steps differ from plain ones of the problem as it is."""

    # (n,) or None: the policy sees the coordinates divided by it, that is
    # `f(scale * x)` as a function of `x`.
    scale: Any = None
    # None, or a boolean scalar and a rate: where the boolean holds, the update
    # is the gradient times the rate.
    warming: Any = None
    noise: Any = None  # (n,) or None: added to the gradient the policy sees


#: The problem as it is.
PLAIN = Conditions()


class Part(NamedTuple):
    """Which part of an episode an unroll is, if the episode is weighed whole.

    The student stops at the horizon. If the objective has a `stop_above`, it
    may have stopped before.
    """

    first: Trajectory  # the student's, from which the episode started
    running: Any  # bool: whether the student has not stopped before
    index: Any  # (unroll,), the steps' numbers in the episode
    horizon: Any  # scalar, how many steps of the episode count


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


def start(policy, problem, parameters, non_trainable, total_steps=None):
    """A trajectory at its first parameters.

    Args:
        policy: `Policy`.
        problem: `Problem`.
        parameters: `(n,)`.
        non_trainable: Values of the model's other variables.
        total_steps: int32 scalar, what the policy is told of the length of the
            training, 0 for nothing; then it is not told when the problem's
            examples come again, either. Defaults to `None`, nothing.
    """
    state = initial_state(policy, problem)
    if total_steps is not None:
        told = total_steps > 0
        horizon = Horizon(
            ops.zeros((), "int32"),
            total_steps,
            ops.cast(told, "int32") * problem.epoch_steps,
        )
        state = policy.with_horizon(state, horizon)
    return Trajectory(parameters, tuple(non_trainable), state)


def policy_step(policy, problem, training, values, gradient, parameters, state):
    """The update of flat coordinates, to be subtracted, and the new state.

    The policy's weights have these values; `training` is `Policy.update`'s.
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


def steps_of(policy, problem, training=False):
    """`policy_step` on a problem, of the arguments that change with steps."""
    steps = functools.partial(policy_step, policy, problem, training)
    return backend.own_program(steps) if policy.own_program else steps


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


def inner_step(
    problem, policy, update_of, values, trajectory, batch, conditions=PLAIN
):
    """One inner step of one optimizer.

    Args:
        problem: The `Problem`.
        policy: The `Policy`.
        update_of: What `steps_of` returns for both.
        values: Tensors for `policy_variables(policy)`.
        trajectory: `Trajectory` before the step.
        batch: Nest of tensors, one batch.
        conditions: `Conditions`. Defaults to `PLAIN`.

    Returns:
        The loss before the step, and the trajectory after it.
    """
    scale, warming, noise = conditions

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
    update, state = update_of(values, *seen, trajectory.state)
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
    distillation,
    problem,
    values,
    trajectories,
    inputs,
    conditions=PLAIN,
    part=None,
):
    """Runs the student and every teacher over the same batches.

    Args:
        distillation: `keras_l2o.training.task.Distillation`, which has the
            policies and the objective.
        problem: The `Problem`.
        values: List of the tensors for each policy's `policy_variables`, first
            the student's. The result can be differentiated by these.
        trajectories: Tuple of `Trajectory`, first the student's and then one
            for each teacher.
        inputs: `Inputs`.
        conditions: `Conditions` without noise. Of these, the teachers share
            `warming` alone. Defaults to `PLAIN`.
        part: `Part` of an episode that is weighed whole. Defaults to `None`:
            the unroll is weighed on its own.

    Returns:
        The trajectories after the last step, and `Records`.
    """
    student, *teachers = distillation.pool
    length, objective = distillation.unroll, distillation.objective
    student_updates = steps_of(student, problem, training=True)
    teacher_updates = [steps_of(teacher, problem) for teacher in teachers]
    may_stop = part is not None or objective.stop_above is not None
    within = [] if part is None else [part.index < part.horizon]
    if part is None:
        steps = ops.arange(length, dtype="int32")
        part = Part(trajectories[0], True, steps, length)

    def student_step(old, step, running):
        """The student's losses, its trajectory, and whether it goes on."""
        weights = [v + offset for v, offset in zip(values[0], step.offsets)]
        weights += values[0][len(weights) :]
        origin = old
        if may_stop:
            # A stopped student steps from where it once was, to no effect:
            # numbers there are finite, and no gradient comes back from it.
            origin = numerics.select(running, old, part.first)
        loss, new = inner_step(
            problem,
            student,
            student_updates,
            weights,
            origin,
            step.batches,
            conditions._replace(noise=step.noise[0] if step.noise else None),
        )
        initial_loss, _ = problem.loss_value(
            problem.unravel(part.first.parameters),
            list(part.first.non_trainable),
            step.batches,
        )
        goes_on = running
        if objective.stop_above is not None:
            goes_on = ops.logical_and(
                running, loss <= objective.stop_above * initial_loss
            )
        if may_stop:
            new = numerics.select(goes_on, new, old)
        return loss, ops.stop_gradient(initial_loss), new, goes_on

    def teacher_step(index, old, batch, holds, alive, target):
        """A teacher's trajectory, whether it is alive, its distance and loss.

        Its distance is that of its parameters to `target`, the student's.
        """
        with backend.no_gradient():
            loss, new = inner_step(
                problem,
                teachers[index],
                teacher_updates[index],
                values[1 + index],
                old,
                batch,
                Conditions(warming=conditions.warming),
            )
        gap = objective.distance(target, new.parameters)
        # A teacher that diverges stops where it was: its NaN must reach
        # neither the student nor the distance's gradient.
        survives = ops.logical_and(
            alive, numerics.all_finite([loss, gap, new.parameters])
        )
        for held in holds:
            new = numerics.select(held, new, old)
            survives = ops.where(held, survives, alive)
        parameters = ops.where(survives, new.parameters, old.parameters)
        new = keras.tree.map_structure(
            ops.stop_gradient, new._replace(parameters=parameters)
        )
        new = new._replace(parameters=backend.kept(new.parameters))
        gap = numerics.safe_log(objective.distance(target, new.parameters))
        return new, survives, gap, ops.stop_gradient(loss)

    def body(carry, inputs):
        (old, *others), alive, running = carry
        step, holds = inputs
        for held in holds:
            running = ops.logical_and(running, held)
        loss, initial_loss, new, goes_on = student_step(old, step, running)
        results = [
            teacher_step(
                index, other, step.batches, holds, alive[index], new.parameters
            )
            for index, other in enumerate(others)
        ]
        columns = list(zip(*results)) or [()] * 4
        reached, survivors, distances, losses = columns
        alive = ops.stack(survivors) if teachers else alive
        return ((new, *reached), alive, goes_on), Records(
            losses=loss,
            initial_losses=initial_loss,
            log_distances=_stack(distances, loss),
            alive=alive,
            teacher_losses=_stack(losses, loss),
            running=running,
            goes_on=goes_on,
            index=(),
            horizon=(),
        )

    (trajectories, _, _), records = backend.scan(
        body,
        (
            trajectories,
            ops.ones((len(teachers),), "bool"),
            ops.convert_to_tensor(part.running, "bool"),
        ),
        (inputs, within),
        length,
        distillation.rematerialize,
        _record(len(teachers), trajectories[0].parameters.dtype),
    )
    return trajectories, records._replace(
        index=part.index,
        horizon=ops.convert_to_tensor(part.horizon, "int32"),
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
    conditions = Conditions(warming=warming)
    update_of = steps_of(policy, problem)

    def body(trajectory, batch):
        loss, trajectory = inner_step(
            problem, policy, update_of, values, trajectory, batch, conditions
        )
        return trajectory, loss

    loss = ops.zeros((), trajectory.parameters.dtype)
    return backend.scan(body, trajectory, batches, length, outputs=loss)
