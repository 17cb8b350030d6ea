from keras import ops

from keras_l2o import numerics
from keras_l2o.training import inner_loop
from keras_l2o.training.task import fresh_trajectories
from keras_l2o.training.task import warming

#: Validation reports the mean over this many inner steps at the end.
END_STEPS = 50


def validation_truncation(
    pool, values, problem, unroll, warmup_rate, data, carried
):
    """Runs a truncation of a task by each optimizer on its own.

    Args:
        pool: Tuple of policies, the student and the teachers.
        values: List with the values of the variables of each policy.
        problem: `Problem`.
        unroll: Int. Inner steps.
        warmup_rate: Float, or `None` if no truncation warms up.
        data: Dict, one task of `Episodes`.
        carried: Trajectories at the end of the last truncation.

    Returns:
        Tuple of the trajectories at the end, and `(optimizers,)`, the mean
        log losses of the last inner steps.
    """
    trajectories = numerics.select(
        data["reset"],
        fresh_trajectories(pool, problem, data),
        carried,
    )
    results = [
        inner_loop.rollout(
            problem,
            policy,
            policy_values,
            trajectory,
            data["batches"],
            unroll,
            warming(warmup_rate, data),
        )
        for policy, policy_values, trajectory in zip(pool, values, trajectories)
    ]
    trajectories, losses = zip(*results)
    return trajectories, ops.stack([_end_log_loss(row) for row in losses])


def _end_log_loss(losses):
    """Mean log loss of the last inner steps, infinite if any is not finite."""
    losses = losses[-min(END_STEPS, losses.shape[0]) :]
    result = ops.mean(numerics.safe_log(losses))
    return ops.where(
        ops.all(ops.isfinite(losses)),
        result,
        ops.full_like(result, float("inf")),
    )
