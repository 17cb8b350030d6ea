import keras
from keras import ops

from keras_l2o import backend
from keras_l2o.training.estimators.estimator import Estimator


@keras.saving.register_keras_serializable(package="keras_l2o")
class FullUnroll(Estimator):
    """Differentiates a whole episode: the exact gradient, at any horizon.

    An outer step is an episode of up to `depth` truncations of `unroll` inner
    steps. Each task draws its horizon, a number of inner steps, log-uniformly
    from the range of `depth`; later ones are masked, so that one compiled
    program serves all. Losses are relative to the episode's first parameters,
    and the objective weighs all of its inner steps together.

    The backward pass goes through the truncations from the last to the first,
    and computes each again from where it started: memory holds one truncation,
    and of each other the trajectories it starts from, on every backend.

    Teachers start each truncation where the student is, if they are
    synchronized; no gradient flows through that.

    Example:

    >>> trainer = keras_l2o.MetaTrainer(
    ...     estimator=keras_l2o.training.estimators.FullUnroll(), depth=(1, 4))

    Reference:
        - [Griewank, 1992](https://doi.org/10.1080/10556789208805505), on
          computing stretches again
    """

    whole_episodes = True

    def start(self, trajectories, weights):
        return ()  # every outer step starts afresh

    def estimate(self, task, weights):
        parts, depth = _truncations(task)
        fresh = task.fresh()

        def run(weights, start, part):
            trajectories, running = start
            truncation = task._replace(
                data={**task.data, **part["data"]},
                tensors=task.tensors._replace(offsets=part["offsets"]),
                noise=part["noise"],
            )
            end = truncation.run(
                weights,
                truncation.together(trajectories),
                part["index"],
                task.data["horizon"],
                first=fresh[0],
                running=running,
                within=part["index"] < task.data["horizon"],
            )
            return truncation, end

        def forward(start, part):
            truncation, end = run(weights, start, part)
            # The student goes on as it is: what is not finite ends the task.
            goes_on = ops.convert_to_tensor(True)
            reached = truncation.next_start(end, goes_on)
            output = start, truncation.figures(end)
            return (reached, end.records.goes_on[-1]), output

        def backward(carry, inputs):
            gradients, slopes = carry
            (trajectories, running), part = inputs

            def loss(variables):
                weights = variables[: len(gradients)]
                student = _with_floats(
                    trajectories[0], variables[len(gradients) :]
                )
                start = ((student, *trajectories[1:]), running)
                _, end = run(weights, start, part)
                # What later truncations make of the end, to first order.
                later = [
                    ops.sum(leaf * slope)
                    for leaf, slope in zip(_floats(end.trajectories[0]), slopes)
                ]
                return end.losses[0] + sum(later), ()

            _, found = backend.value_and_grad(loss)(
                [*weights, *_floats(trajectories[0])]
            )
            count = len(gradients)
            total = [a + b for a, b in zip(gradients, found[:count])]
            return (total, found[count:]), ()

        first = (fresh, ops.convert_to_tensor(True))
        _, (starts, figures) = backend.scan(forward, first, parts, depth)
        zeros = keras.tree.map_structure(
            ops.zeros_like, (list(weights), _floats(fresh[0]))
        )
        last_to_first = keras.tree.map_structure(
            lambda leaf: ops.flip(leaf, 0), (starts, parts)
        )
        (gradients, _), _ = backend.scan(backward, zeros, last_to_first, depth)
        return task.result(gradients, (), figures.combined(ops.sum))


def _truncations(task):
    """An episode's data by truncation, and how many these are."""
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
    """The leaves that a gradient flows through."""
    return [leaf for leaf in keras.tree.flatten(trajectory) if _is_float(leaf)]


def _with_floats(trajectory, floats):
    """A trajectory with these in the place of its `_floats`."""
    floats = iter(floats)
    return keras.tree.map_structure(
        lambda leaf: next(floats) if _is_float(leaf) else leaf, trajectory
    )


def _is_float(leaf):
    return "float" in keras.backend.standardize_dtype(leaf.dtype)
