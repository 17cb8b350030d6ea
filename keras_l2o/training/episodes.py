import keras
import numpy as np

from keras_l2o.training import checks

#: Sets the outer steps' own draws apart from the tasks'.
DRAW = 2**31


class Episodes:
    """The data of meta-training: fresh optimizees and their batches.

    An episode is a number of truncations that carry on from each other; then
    the optimizee starts afresh. Tasks are at different ages of different
    episodes. Everything is a function of the seed and of the outer step's
    number, so a run that is taken up again sees what it would have seen.

    Args:
        problems: List of `Problem`.
        tasks: Int. Episodes side by side, for each problem.
        unroll: Int. Inner steps of a truncation.
        depth: Int, truncations of an episode; or a pair, the ends of a range
            from which each episode's depth is drawn log-uniformly.
        parameter_scale_spread: Float `s`. Each coordinate of an episode is
            scaled by `exp(u)`, `u` uniform in `[-s, s]`.
        warmup: Int. First truncations of an episode that warm up.
        seed: Int, or a tuple of ints.
        whole: Bool. Whether an outer step is a whole episode: as many inner
            steps as the longest has, and in `horizon` how many of them count,
            drawn log-uniformly from `unroll` times the range of depths.
            Defaults to `False`.
    """

    def __init__(
        self,
        problems,
        tasks,
        unroll,
        depth,
        parameter_scale_spread=0.0,
        warmup=0,
        seed=0,
        whole=False,
    ):
        self.problems = problems
        self.tasks = checks.count("tasks", tasks)
        self.unroll = checks.count("unroll", unroll)
        self.depth = checks.depths("depth", depth)
        self.spread = checks.number(
            "parameter_scale_spread", parameter_scale_spread
        )
        self.warmup = checks.count("warmup", warmup, least=0)
        self.seed = seed
        self.whole = whole
        self._key = tuple(seed) if isinstance(seed, (tuple, list)) else (seed,)
        self._starts = {}  # (problem, task) -> first outer step of episodes
        self._episodes = {}  # (problem, task) -> (number, its first values)

    @property
    def steps(self):
        """Int. Inner steps of an outer step."""
        return self.unroll * (self.depth[1] if self.whole else 1)

    @property
    def traced(self):
        """What a compiled step depends on, besides the data's shapes."""
        return self.unroll, self.steps, bool(self.spread), bool(self.warmup)

    @property
    def arguments(self):
        """The constructor's arguments."""
        return {
            "problems": self.problems,
            "tasks": self.tasks,
            "unroll": self.unroll,
            "depth": self.depth,
            "parameter_scale_spread": self.spread,
            "warmup": self.warmup,
            "seed": self.seed,
            "whole": self.whole,
        }

    def changed(self, **arguments):
        """The same episodes, but for the arguments given here."""
        return Episodes(**{**self.arguments, **arguments})

    def stream(self, outer_step=0):
        """Yields the data of each outer step from this one on, for `fit`."""
        while True:
            yield (self.at(outer_step),)
            outer_step += 1

    def at(self, outer_step):
        """Data of one outer step: a tuple over problems, stacked over tasks."""
        return tuple(
            stack(
                [
                    self._task(problem, task, outer_step)
                    for task in range(self.tasks)
                ]
            )
            for problem in range(len(self.problems))
        )

    def position(self, problem, task, outer_step):
        """Number of a task's episode, and the truncation within it."""
        if self.whole:
            return outer_step, 0
        # A copy, because an older `fit` may still draw in its own thread.
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
            cached = (episode, self._first_values(problem, key))
            self._episodes[problem, task] = cached
        batches, replaced = finite_batches(
            self.problems[problem],
            np.random.default_rng([*key, truncation + 1]),
            self.steps,
        )
        if self.whole:
            truncation = np.arange(self.depth[1])
        return {
            **cached[1],
            "batches": batches,
            "replaced_batches": np.float32(replaced),
            "reset": np.bool_(np.min(truncation) == 0),
            "warming": np.asarray(truncation < self.warmup),
            "draw": self._draw(outer_step),
        }

    def _draw(self, outer_step):
        """A number in [0, 1) that all tasks of an outer step share."""
        rng = np.random.default_rng([*self._key, outer_step, DRAW])
        return np.float32(rng.integers(2**24) / 2**24)

    def _first_values(self, problem, key):
        problem = self.problems[problem]
        rng = np.random.default_rng([*key, 0])
        trainable, non_trainable = problem.initial_values(
            int(rng.integers(2**31))
        )
        parameters = np.concatenate([np.ravel(value) for value in trainable])
        exponent = rng.uniform(-self.spread, self.spread, parameters.shape)
        low, high = np.log(self.unroll * np.array(self.depth))
        horizon = {
            "horizon": np.int32(np.round(np.exp(rng.uniform(low, high))))
        }
        return {
            **(horizon if self.whole else {}),
            "parameters": parameters,
            "non_trainable": {
                str(i): np.asarray(v) for i, v in enumerate(non_trainable)
            },
            "scale": np.exp(exponent).astype(parameters.dtype),
        }


class ValidationEpisodes(keras.utils.PyDataset):
    """A fixed rollout: the same optimizees and batches at every validation.

    Args:
        problems, tasks, unroll, warmup, seed: As in `Episodes`; give it
            another seed than the training's.
        depth: Int. Truncations of the rollout.
        rollouts: Int. Rollouts one after the other. Defaults to `1`.
    """

    def __init__(
        self, problems, tasks, unroll, depth, warmup=0, seed=0, rollouts=1
    ):
        super().__init__()
        self.episodes = Episodes(
            problems, tasks, unroll, depth, warmup=warmup, seed=seed
        )
        self.depth = checks.count("depth", depth)
        self.rollouts = checks.count("rollouts", rollouts)

    @property
    def arguments(self):
        """The constructor's arguments."""
        episodes = self.episodes
        return {
            "problems": episodes.problems,
            "tasks": episodes.tasks,
            "unroll": episodes.unroll,
            "depth": self.depth,
            "warmup": episodes.warmup,
            "seed": episodes.seed,
            "rollouts": self.rollouts,
        }

    def changed(self, **arguments):
        """The same rollouts, but for the arguments given here."""
        return ValidationEpisodes(**{**self.arguments, **arguments})

    def __len__(self):
        return self.depth * self.rollouts

    def __getitem__(self, index):
        data = self.episodes.at(index)
        last = np.full((self.episodes.tasks,), (index + 1) % self.depth == 0)
        return (tuple({**problem, "last": last} for problem in data),)


def finite_batches(problem, rng, steps):
    """Batches of a problem; one that is not finite gives way to another.

    Returns:
        The nest of arrays `(steps, batch, ...)`, and how many were replaced.
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
    """Another seed: the next replicate's, or that of this one's validation."""
    if isinstance(seed, (tuple, list)):
        return (seed[0] + by, *seed[1:])
    return seed + by


def stack(nests):
    """One nest of arrays from many, with a first axis over them."""
    return keras.tree.map_structure(lambda *leaves: np.stack(leaves), *nests)
