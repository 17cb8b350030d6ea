from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.training import checks
from keras_l2o.training.estimators.estimator import Estimator
from keras_l2o.training.inner_loop import Trajectory
from keras_l2o.training.task import Task
from keras_l2o.training.task import TaskResult
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor


class Particles(NamedTuple):
    """What a task's particles carry from one truncation to the next."""

    # Nest of (2 * pairs, ...): first the particles with the noise added, then
    # those with the noise subtracted.
    trajectories: Any
    noise: list  # (pairs, *weight.shape) each, `e` in the gradient's equation


class Evolution(Estimator):
    """Base class of antithetic evolution strategies over truncations.

    Each task has pairs of particles. The two particles of a pair train the
    optimizee with the student's weights `w` plus and minus the same noise
    `d`, and each goes on from truncation to truncation in its own state. For
    a truncation with the objective `L`, the estimate is the mean over pairs of

        e * (L(w + d) - L(w - d)) / (2 * stddev**2)

    where `d` and `e` are what `noise` returns. This needs no derivative
    through the unroll, and no memory for one. It estimates the gradient of the
    objective smoothed by the noise, which is well behaved however long or
    chaotic an episode is. A pair with a particle that diverged is left out of
    the mean, and starts afresh.

    On JAX all particles of a task run side by side, as one vectorized axis.

    Args:
        pairs: Int. Pairs of particles of each task. Defaults to `8`.
        stddev: Float. Standard deviation of the noise on the student's
            weights. Defaults to `0.01`.
        seed: Int. Seed of the noise. Defaults to `None`, a random seed.

    Raises:
        ValueError: `pairs` or `stddev` is not positive.

    Example:

    >>> class FreshNoise(keras_l2o.training.estimators.Evolution):
    ...     def noise(self, drawn, before, reset):
    ...         return drawn, drawn
    >>> trainer = keras_l2o.MetaTrainer(
    ...     problems="quadratic_10", estimator=FreshNoise(pairs=2))
    """

    def __init__(
        self, pairs: int = 8, stddev: float = 0.01, seed: int | None = None
    ) -> None:
        self.pairs = checks.count("pairs", pairs)
        self.stddev = checks.number("stddev", stddev, above=0.0)
        self.seed = seed
        self._generator: keras.random.SeedGenerator | None = None

    def build(self) -> None:
        if self._generator is None:
            self._generator = keras.random.SeedGenerator(self.seed)

    @property
    def variables(  # type: ignore[override]
        self,
    ) -> list[keras.Variable]:
        return [] if self._generator is None else [self._generator.state]

    def start(
        self, trajectories: tuple[Trajectory, ...], weights: Sequence[Tensor]
    ) -> Particles:
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

    def draw(self, weights: Sequence[Tensor], tasks: int) -> list[Tensor]:
        return [
            self.stddev
            * keras.random.normal(
                (tasks, self.pairs, *weight.shape),
                dtype=keras.backend.standardize_dtype(weight.dtype),
                seed=self._generator,
            )
            for weight in weights
        ]

    def noise(
        self, drawn: list[Tensor], before: list[Tensor], reset: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """How the weights of the particles are disturbed in a truncation.

        Args:
            drawn: List of tensors `(pairs, *weight.shape)`, fresh noise.
            before: List of tensors of these shapes, the second list that
                `noise` returned for the truncation before; zeros where the
                pair starts afresh.
            reset: Boolean scalar, whether an episode begins.

        Returns:
            Two lists of tensors of these shapes: `d`, which is added to the
            weights and subtracted from them, and `e`, which the difference of
            the losses is multiplied by.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `noise`."
        )

    def estimate(self, task: Task, weights: Sequence[Tensor]) -> TaskResult:
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
        # A loss that is not finite would spoil the mean.
        figures = figures._replace(
            losses=ops.where(figures.finite[:, None], figures.losses, 0.0)
        )
        return task.result(
            gradients, carried, figures.combined(ops.mean), ops.any(finite)
        )

    def get_config(self) -> Config:
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
