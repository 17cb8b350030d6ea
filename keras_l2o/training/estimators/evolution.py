from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.training import checks
from keras_l2o.training.estimators.estimator import Estimator


class Particles(NamedTuple):
    """What a task carries of its particles from truncation to truncation."""

    trajectories: Any  # (2 * pairs, ...), those of plus before those of minus
    noise: list  # (pairs, *weight.shape), what the gradient is weighed by


class Evolution(Estimator):
    """Base class of evolution strategies over truncations, antithetic.

    Each task has pairs of particles. The two of a pair train the optimizee
    with weights that are disturbed by the same noise, added and subtracted,
    and carry on from truncation to truncation, each on its own; the gradient
    is their losses' difference along the noise. It needs no derivative through
    the unroll and no memory for one, and it is the gradient of the loss
    smoothed by the noise, however long or chaotic an episode is.

    On JAX all particles of a task are one vectorized axis.

    Args:
        pairs: Int. Pairs of particles of each task. Defaults to `8`.
        stddev: Float. Standard deviation of the noise on the student's
            weights. Defaults to `0.01`.
        seed: Int, or `None` for a random one. Defaults to `None`.
    """

    def __init__(self, pairs=8, stddev=0.01, seed=None):
        self.pairs = checks.count("pairs", pairs)
        self.stddev = checks.number("stddev", stddev, above=0.0)
        self.seed = seed
        self._generator = None

    def build(self):
        if self._generator is None:
            self._generator = keras.random.SeedGenerator(self.seed)

    @property
    def variables(self):
        return [] if self._generator is None else [self._generator.state]

    def start(self, trajectories, weights):
        return Particles(
            keras.tree.map_structure(
                lambda leaf: ops.repeat(leaf[None], 2 * self.pairs, axis=0),
                trajectories,
            ),
            [
                ops.zeros((self.pairs, *weight.shape), weight.dtype)
                for weight in weights
            ],
        )

    def draw(self, weights, tasks):
        return [
            self.stddev
            * keras.random.normal(
                (tasks, self.pairs, *weight.shape),
                dtype=keras.backend.standardize_dtype(weight.dtype),
                seed=self._generator,
            )
            for weight in weights
        ]

    def noise(self, drawn, before, reset):
        """How the particles of this truncation are disturbed.

        Args:
            drawn: List of tensors, fresh noise for each pair.
            before: List of tensors, what `noise` has left to be carried.
            reset: Boolean scalar, whether an episode begins.

        Returns:
            Two lists of tensors: what is added to the weights, and what the
            losses' differences are weighed by, which is carried on.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `noise`."
        )

    def estimate(self, task, weights):
        carried, reset = task.carried, task.data["reset"]
        fresh = self.start(task.fresh(), weights)
        trajectories = numerics.select(
            reset, fresh.trajectories, carried.trajectories
        )
        added, noise = self.noise(task.drawn, carried.noise, reset)
        disturbed = [
            ops.concatenate([weight + change, weight - change])
            for weight, change in zip(weights, added)
        ]

        def particle(own, shared):
            trajectories, weights = own
            data, tensors, noise = shared
            particle = task._replace(data=data, tensors=tensors, noise=noise)
            end = particle.run(weights, particle.together(trajectories))
            figures = particle.figures(end)
            return particle.next_start(end, figures.finite), figures

        reached, figures = backend.map_tasks(
            particle,
            (trajectories, disturbed),
            (task.data, task.tensors, task.noise),
            2 * self.pairs,
        )
        plus, minus = ops.split(figures.losses[:, 0], 2)
        finite = ops.all(ops.reshape(figures.finite, (2, self.pairs)), axis=0)
        # A pair of which one has diverged says nothing, and starts afresh.
        slopes = ops.where(finite, (plus - minus) / 2.0, 0.0)
        count = ops.maximum(ops.sum(ops.cast(finite, slopes.dtype)), 1.0)
        gradients = [
            ops.tensordot(ops.cast(slopes, part.dtype), part, 1)
            / ops.cast(count * self.stddev**2, part.dtype)
            for part in noise
        ]
        # Warming up does not depend on the weights, nor on their noise.
        keeps = ops.logical_and(finite, ops.logical_not(task.data["warming"]))
        carried = Particles(
            _where(
                ops.concatenate([finite, finite]), reached, fresh.trajectories
            ),
            _where(keeps, noise, fresh.noise),
        )
        # Losses of what has diverged are no mean of anything.
        figures = figures._replace(
            losses=ops.where(figures.finite[:, None], figures.losses, 0.0)
        )
        return task.result(
            gradients, carried, figures.combined(ops.mean), ops.any(finite)
        )

    def get_config(self):
        return {"pairs": self.pairs, "stddev": self.stddev, "seed": self.seed}


def _where(mask, chosen, otherwise):
    """Picks between two nests row by row."""
    return keras.tree.map_structure(
        lambda a, b: ops.where(
            ops.reshape(mask, (-1,) + (1,) * (len(a.shape) - 1)), a, b
        ),
        chosen,
        otherwise,
    )
