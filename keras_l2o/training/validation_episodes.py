from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_l2o.problems import Problem
from keras_l2o.training import checks
from keras_l2o.training.episodes import Episodes
from keras_l2o.training.episodes import next_seed


class ValidationEpisodes(keras.utils.PyDataset):
    """The data of validation: the same optimizees and batches every time.

    Its items are truncations; those of a rollout come one after the other.

    Args:
        problems: List of `Problem`.
        tasks: Int. Rollouts side by side, for each problem.
        unroll: Int. Inner steps of a truncation.
        depth: Int. Truncations of a rollout.
        warmup: Int. How many truncations at the start of a rollout run
            gradient descent. Defaults to `0`.
        seed: Int, or a tuple of ints. Should differ from the seed of the
            training. Defaults to `0`.
        rollouts: Int. Rollouts one after the other. Defaults to `1`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> problem = keras_l2o.problems.get("quadratic_10")
    >>> validation = keras_l2o.training.ValidationEpisodes(
    ...     [problem], tasks=2, unroll=5, depth=3, seed=1)
    >>> len(validation)
    3
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        tasks: int,
        unroll: int,
        depth: int,
        warmup: int = 0,
        seed: int | tuple[int, ...] = 0,
        rollouts: int = 1,
    ) -> None:
        super().__init__()
        self.episodes = Episodes(
            problems, tasks, unroll, depth, warmup=warmup, seed=seed
        )
        self.depth = checks.count("depth", depth)
        self.rollouts = checks.count("rollouts", rollouts)

    @property
    def arguments(self) -> dict[str, Any]:
        """Dict of the constructor's arguments."""
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

    @property
    def every(self) -> list[dict[str, Any]]:
        """List of the arguments for each replicate, which say all of the data.

        One for validation that has no replicates.
        """
        return [self.arguments]

    def changed(self, **arguments: Any) -> "ValidationEpisodes":
        """Rollouts with other values of some of the constructor's arguments.

        Args:
            **arguments: The new values by name.

        Returns:
            `ValidationEpisodes`.
        """
        return ValidationEpisodes(**{**self.arguments, **arguments})

    def __len__(self):
        return self.depth * self.rollouts

    def __getitem__(self, index):
        data = self.episodes.at(index)
        last = (index + 1) % self.depth == 0
        return (
            tuple(
                {**tasks, "last": np.full(tasks["reset"].shape, last)}
                for tasks in data
            ),
        )


def validation_of(
    episodes: Episodes, tasks: int, depth: int | None
) -> ValidationEpisodes:
    """Validation rollouts like the episodes of a training, with other data.

    Args:
        episodes: The training's `Episodes`.
        tasks: Int, the argument `validation_tasks` of `MetaTrainer`.
        depth: Int, its argument `validation_depth`; `None` for the depth of
            the longest episode.

    Returns:
        `ValidationEpisodes`, with the seed after that of the training.
    """
    return ValidationEpisodes(
        episodes.problems,
        checks.count("validation_tasks", tasks),
        episodes.unroll,
        episodes.depth[1]
        if depth is None
        else checks.count("validation_depth", depth),
        episodes.warmup,
        next_seed(episodes.seed),
    )
