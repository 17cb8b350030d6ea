from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_l2o import backend
from keras_l2o.problems import Problem
from keras_l2o.training import checks
from keras_l2o.training.reparametrization import reparametrization

#: Last number of the seed of an outer step's own draw. No task of an episode
#: has a seed that ends like this.
DRAW = 2**31


class Episodes:
    """The data of meta-training: first parameters of optimizees, and batches.

    An episode is a number of truncations, each of which goes on from where
    the one before has ended; then the next episode begins with a fresh
    optimizee. The tasks of an outer step are in different episodes, and at
    different truncations of these. All data is a function of the seed and of
    the number of the outer step, so that a run that was interrupted sees the
    same data when it goes on as it would have seen without the interruption.

    Args:
        problems: List of `Problem`.
        tasks: Int. Episodes side by side, for each problem.
        unroll: Int. Inner steps of a truncation.
        depth: Int, truncations of an episode; or a pair, the ends of a range
            from which each episode's depth is drawn log-uniformly.
        parameter_scale_spread: Float `s`: the student sees each coordinate of
            an episode scaled by `exp(u)`, with `u` uniform in `[-s, s]`; or a
            `Reparametrization`, or a dict of its arguments. Defaults to `0.0`,
            no scaling.
        warmup: Int. How many truncations at the start of an episode run
            gradient descent. Defaults to `0`.
        seed: Int, or a tuple of ints. Defaults to `0`.
        whole: Bool. If `True`, the data of an outer step is a whole episode:
            batches for as many inner steps as the longest episode has, and
            `horizon`, how many of these steps count, drawn log-uniformly from
            `unroll` times the range of `depth`. Defaults to `False`.
        problems_per_step: Int. How many of the problems are in an outer step,
            drawn anew for each. With `whole` alone. Defaults to `None`, all of
            them in their order.
        hidden_horizon: Float in `[0, 1]`. The share of episodes of which the
            policies are not told how many inner steps they have. Defaults to
            `0.0`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> problem = keras_l2o.problems.get("quadratic_10")
    >>> episodes = keras_l2o.training.Episodes(
    ...     [problem], tasks=2, unroll=5, depth=(1, 4))
    >>> (data,) = episodes.at(outer_step=0)
    >>> data["parameters"].shape
    (2, 10)
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        tasks: int,
        unroll: int,
        depth: int | tuple[int, int],
        parameter_scale_spread: Any = 0.0,
        warmup: int = 0,
        seed: int | tuple[int, ...] = 0,
        whole: bool = False,
        hidden_horizon: float = 0.0,
        problems_per_step: int | None = None,
    ) -> None:
        self.problems = problems
        self.tasks = checks.count("tasks", tasks)
        self.unroll = checks.count("unroll", unroll)
        self.depth = checks.depths("depth", depth)
        self.spread = reparametrization(parameter_scale_spread)
        self.warmup = checks.count("warmup", warmup, least=0)
        self.seed = seed
        self.whole = whole
        self.hidden_horizon = checks.share("hidden_horizon", hidden_horizon)
        self.problems_per_step = checks.problems_per_step(
            problems_per_step, len(problems), whole
        )
        self._key = tuple(seed) if isinstance(seed, (tuple, list)) else (seed,)
        # First outer steps of the episodes of each (problem, task).
        self._starts: dict[tuple[int, int], list[int]] = {}
        # The last episode of each (problem, task): number and first values.
        self._episodes: dict[tuple[int, int], tuple[int, dict]] = {}

    @property
    def steps(self) -> int:
        """Int. Inner steps of an outer step."""
        return self.unroll * (self.depth[1] if self.whole else 1)

    @property
    def traced(self) -> tuple[int, int, bool, bool]:
        """Tuple of what a compiled step depends on besides the data's shapes.

        If it changes, the step has to be compiled again.
        """
        return self.unroll, self.steps, bool(self.spread), bool(self.warmup)

    @property
    def arguments(self) -> dict[str, Any]:
        """Dict of the constructor's arguments."""
        return {
            "problems": self.problems,
            "tasks": self.tasks,
            "unroll": self.unroll,
            "depth": self.depth,
            "parameter_scale_spread": self.spread,
            "warmup": self.warmup,
            "seed": self.seed,
            "whole": self.whole,
            "hidden_horizon": self.hidden_horizon,
            "problems_per_step": self.problems_per_step,
        }

    def changed(self, **arguments: Any) -> "Episodes":
        """Episodes with other values of some of the constructor's arguments.

        Args:
            **arguments: The new values by name.

        Returns:
            `Episodes`.
        """
        return Episodes(**{**self.arguments, **arguments})

    def stream(self, outer_step: int = 0) -> Iterator[tuple[Any]]:
        """Yields the data of one outer step after the other, without an end.

        Args:
            outer_step: Int. The first outer step. Defaults to `0`.

        Yields:
            What `at` returns, alone in a tuple, as `keras.Model.fit` takes it.
        """
        while True:
            yield (self.at(outer_step),)
            outer_step += 1

    def at(self, outer_step: int) -> tuple[dict[str, Any], ...]:
        """The data of one outer step.

        Args:
            outer_step: Int, counted from 0.

        Returns:
            Tuple with a dict for each problem. Its values are nests of arrays
            with a first axis over tasks, such as `"parameters"`, the first
            parameters of the episode, `"batches"`, one for each inner step,
            and `"reset"`, whether an episode begins. If problems are drawn,
            `"problem"` is the index of the one that the dict is of.
        """
        return tuple(
            stack(
                [
                    self._task(problem, task, outer_step)
                    for task in backend.own_tasks(self.tasks)
                ]
            )
            for problem in self.drawn(outer_step)
        )

    def drawn(self, outer_step: int) -> list[int]:
        """Which problems are in an outer step.

        Args:
            outer_step: Int, counted from 0.

        Returns:
            List of ints, indices of problems.
        """
        count = len(self.problems)
        if self.problems_per_step is None:
            return list(range(count))
        rng = np.random.default_rng([*self._key, outer_step, DRAW + 1])
        drawn = rng.choice(count, self.problems_per_step, replace=False)
        return drawn.tolist()

    def position(
        self, problem: int, task: int, outer_step: int
    ) -> tuple[int, int]:
        """Where a task is in its sequence of episodes.

        Args:
            problem: Int. Index of the problem.
            task: Int. Index of the task.
            outer_step: Int, counted from 0.

        Returns:
            Pair of ints: the number of the episode, and the number of the
            truncation in it, both counted from 0.
        """
        if self.whole:
            return outer_step, 0
        # A copy: the thread of a `fit` that has ended may still draw.
        starts = list(self._starts.get((problem, task), [0]))
        rng = np.random.default_rng
        low, high = np.log(self.depth[0]), np.log(self.depth[1] + 1)
        while starts[-1] <= outer_step:
            draw = rng([*self._key, problem, task, len(starts)])
            length = int(np.exp(draw.uniform(low, high)))
            length = min(max(length, self.depth[0]), self.depth[1])
            starts.append(starts[-1] + length)
        self._starts[problem, task] = starts
        episode = int(np.searchsorted(starts, outer_step, side="right")) - 1
        return episode, outer_step - starts[episode]

    def _task(self, problem, task, outer_step):
        episode, truncation = self.position(problem, task, outer_step)
        key = [*self._key, problem, task, episode]
        cached = self._episodes.get((problem, task))
        if cached is None or cached[0] != episode:
            depth = self._depth(problem, task, episode)
            cached = (episode, self._first_values(problem, key, depth))
            self._episodes[problem, task] = cached
        batches, replaced = finite_batches(
            self.problems[problem],
            np.random.default_rng([*key, truncation + 1]),
            self.steps,
        )
        if self.whole:
            truncation = np.arange(self.depth[1])
        number = {}
        if self.problems_per_step is not None:
            number = {"problem": np.int32(problem)}
        return {
            **cached[1],
            **number,
            "batches": batches,
            "replaced_batches": np.float32(replaced),
            "reset": np.bool_(np.min(truncation) == 0),
            "warming": np.asarray(truncation < self.warmup),
            "draw": self._draw(outer_step),
        }

    def _depth(self, problem, task, episode):
        """Truncations of an episode; the most there are if it is whole."""
        if self.whole:
            return self.depth[1]
        starts = self._starts[problem, task]
        return starts[episode + 1] - starts[episode]

    def _draw(self, outer_step):
        """A number in [0, 1) that all tasks of an outer step share."""
        rng = np.random.default_rng([*self._key, outer_step, DRAW])
        return np.float32(rng.integers(2**24) / 2**24)

    def _first_values(self, problem, key, depth):
        problem = self.problems[problem]
        rng = np.random.default_rng([*key, 0])
        with backend.own_scope():
            trainable, non_trainable = problem.initial_values(
                int(rng.integers(2**31))
            )
        parameters = np.concatenate([np.ravel(value) for value in trainable])
        exponent = self.spread.exponents(rng, problem)
        steps, horizon = self.unroll * depth, {}
        if self.whole:
            low, high = np.log(self.unroll * np.array(self.depth))
            steps = np.round(np.exp(rng.uniform(low, high)))
            horizon = {"horizon": np.int32(steps)}
        hidden = rng.uniform() < self.hidden_horizon
        return {
            **horizon,
            "total_steps": np.int32(0 if hidden else steps),
            "parameters": parameters,
            "non_trainable": {
                str(i): np.asarray(v) for i, v in enumerate(non_trainable)
            },
            "scale": np.exp(exponent).astype(parameters.dtype),
        }


def finite_batches(problem, rng, steps):
    """Batches of a problem, those that are not finite replaced by others.

    Args:
        problem: `Problem`.
        rng: `numpy.random.Generator` that the batches are drawn from.
        steps: Int. Number of batches.

    Returns:
        The nest of arrays `(steps, batch, ...)`, and how many were replaced.

    Raises:
        ValueError: No batch is finite.
    """
    batches = problem.batches(rng, steps)
    finite = np.ones(steps, bool)
    for leaf in keras.tree.flatten(batches):
        if np.issubdtype(leaf.dtype, np.floating):
            finite &= np.isfinite(leaf).reshape(steps, -1).all(axis=1)
    if finite.all():
        return batches, 0
    good = np.flatnonzero(finite)
    if not good.size:
        raise ValueError(
            f"None of {steps} batches of {problem!r} is free of NaN and "
            "infinity. Clean the data before distilling on it."
        )
    source = np.arange(steps)
    source[~finite] = good[np.arange((~finite).sum()) % good.size]
    batches = keras.tree.map_structure(lambda leaf: leaf[source], batches)
    return batches, int((~finite).sum())


def next_seed(seed, by=1):
    """The seed that comes `by` places after this one.

    Replicates have successive seeds; a validation has the seed after that of
    the training.
    """
    if isinstance(seed, (tuple, list)):
        return (seed[0] + by, *seed[1:])
    return seed + by


def stack(nests):
    """Stacks nests of arrays into one, along a new first axis."""
    return keras.tree.map_structure(lambda *leaves: np.stack(leaves), *nests)
