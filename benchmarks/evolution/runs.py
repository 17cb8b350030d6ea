"""Trainings of tiny problems with many settings of a rule side by side."""

import functools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np

from keras_l2o import policies
from keras_l2o import problems
from keras_l2o.problems.few import Few

#: Seeds of the problems' weights and data.
SEEDS = 2
#: Steps of the trainings.
HORIZONS = (100, 400, 1600)
#: How many batches the data of a finite training have, drawn log-uniformly.
FINITE_BATCHES = (16, 256)
#: Fresh batches on which a trained model is judged.
JUDGED = 8
#: The share of a training whose losses count as those of its end.
END = 0.1


def finite(seed: int) -> bool:
    """Whether a seed's trainings see the same examples again and again.

    Args:
        seed: Int. Every other one.
    """
    return seed % 2 == 1


class Losses(NamedTuple):
    """What trainings come to, each `(settings,)`."""

    judged: Any  # mean loss on fresh batches, of the model as it predicts
    end: Any  # mean loss of the last tenth of the steps
    first: Any  # loss of the initial weights


@functools.cache
def by_heart(name: str) -> bool:
    """Whether a problem has so few examples that they are learned by heart.

    Args:
        name: String.
    """
    return isinstance(problems.get(name).data, Few)


class Runs:
    """Trainings of one problem, compiled once for all of its horizons.

    Those of every other seed have few examples, which come again and again.

    Args:
        name: String, the problem.
        policy: A policy that reads the horizon.
        weights: Function that maps a setting `(numbers,)` to a list of the
            policy's trainable weights, and to a factor of its updates.
    """

    def __init__(
        self,
        name: str,
        policy: policies.Policy,
        weights: Callable[[Any], tuple[list[Any], Any]],
    ) -> None:
        self.problem = problems.get(name)
        self.policy, self.weights = policy, weights
        self._data: dict[int, Any] = {}
        kinds = {type(x).__name__ for x in self.problem.model.layers}
        # XLA's convolutions are slow on a processor if they are batched.
        batched = not any(kind.startswith("Conv") for kind in kinds)
        self._compiled = jax.jit(self._all if batched else self._each)

    def __call__(
        self, settings: Sequence[Any], seed: int, horizon: int
    ) -> Losses:
        """Trains with each of some settings, `(settings, numbers)`."""
        if seed not in self._data:
            self._data[seed] = jax.tree.map(jnp.asarray, self._drawn(seed))
        found = self._compiled(
            jnp.asarray(settings, "float32"),
            jnp.int32(horizon),
            self._data[seed],
        )
        return Losses(*(np.asarray(part, "float64") for part in found))

    def _drawn(self, seed):
        rng = np.random.default_rng((1, seed))
        data = self.problem
        if finite(seed) and not by_heart(self.problem.name):
            few, most = np.log(FINITE_BATCHES)
            count = round(np.exp(rng.uniform(few, most)))
            data = Few(self.problem, count)
        batches = data.batches(rng, max(HORIZONS))
        fresh = self.problem.batches(rng, JUDGED)
        trainable, others = self.problem.initial_values(seed)
        return trainable, others, batches, fresh, np.int32(data.epoch_steps)

    def _all(self, settings, horizon, data):
        return jax.vmap(lambda s: self._one(s, horizon, data))(settings)

    def _each(self, settings, horizon, data):
        return jax.lax.map(lambda s: self._one(s, horizon, data), settings)

    def _one(self, setting, horizon, data):
        trainable, others, batches, fresh, epoch_steps = data
        weights, factor = self.weights(setting)
        pairs = list(zip(self.policy.trainable_variables, weights))

        def loss(values, others, batch, training=True):
            value, others = self.problem.loss_value(
                values, others, batch, training
            )
            return value, list(others)

        def step(index, carry):
            values, others, state, end = carry
            batch = jax.tree.map(lambda leaf: leaf[index], batches)
            (value, others), gradients = jax.value_and_grad(loss, has_aux=True)(
                values, others, batch
            )
            with keras.StatelessScope(pairs):
                updates, state = self.policy.update(gradients, values, state)
            values = [v - factor * u for v, u in zip(values, updates)]
            end = end + jnp.where(index >= (1.0 - END) * horizon, value, 0.0)
            return values, others, state, end

        first, _ = loss(trainable, others, jax.tree.map(_first, batches))
        state = self.policy.with_horizon(
            self.policy.initial_state(trainable),
            policies.Horizon(0, horizon, epoch_steps),
        )
        start = (trainable, others, state, jnp.zeros_like(first))
        values, others, _, end = jax.lax.fori_loop(0, horizon, step, start)
        judged = jax.lax.map(lambda b: loss(values, others, b, False)[0], fresh)
        return Losses(
            jnp.mean(judged), end / jnp.ceil(END * horizon), first
        )  # fmt: skip


def _first(leaf):
    return leaf[0]
