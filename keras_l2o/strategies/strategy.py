from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_l2o import hub
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.strategies.errors import RunError
from keras_l2o.strategies.rows import Row
from keras_l2o.strategies.run import Run
from keras_l2o.strategies.run_directory import RunDirectory
from keras_l2o.strategies.schedules import Schedule
from keras_l2o.strategies.schedules import Scheduled
from keras_l2o.training import MetaTrainer
from keras_l2o.training import checks
from keras_l2o.training.periods import Period
from keras_l2o.training.periods import Plan
from keras_l2o.typing import Config
from keras_l2o.typing import Path


class Strategy(Plan):
    """Base class of callbacks that plan a run and keep it on disk.

    Pass it to `MetaTrainer.fit(callbacks=[...])`. The run consists of periods.
    A period is `episodes` episodes of training, a validation on data of a
    fixed seed, a checkpoint and a row of `summary.csv`; for `fit` it is one
    epoch. What comes next is a function of the rows alone: when a run was
    killed and `fit` is called again with the same directory, it goes on from
    the last finished period, and ends as it would have without the stop. At
    the end the trainer has the weights of the best student.

    A scheduled argument is a number, a list of numbers the last of which holds
    for all later indices, or another form of `keras_l2o.strategies.Schedule`.

    Args:
        directory: Path of the run's directory, or `None` to leave no files.
            Defaults to `None`.
        num_periods: Int. Periods of the run.
        unroll: Int, scheduled. Inner steps of a truncation.
        depth: Int, scheduled. Truncations of an episode.
        shortest_depth: Int. If given, the depth of each episode is drawn
            log-uniformly between it and `depth`. Defaults to `None`, all
            episodes of the depth `depth`.
        episodes: Int. Length of a period, as the number of episodes of the
            depth `depth` that run one after the other. If `shortest_depth`
            is given, there are more and shorter episodes in as many steps.
        warmup: Int, scheduled. Truncations of an episode that run gradient
            descent before the others, while the policies' moments accumulate.
        warmup_rate: Float. Rate of that gradient descent. Defaults to `0.05`.
        imitation_weight: Float, scheduled. Weight of the imitation loss.
            Defaults to `0.5`.
        validation_episodes: Int. Episodes of a validation, one after the other.
            Defaults to `1`.
        validation_unroll: Int. Inner steps of a truncation in validation.
            Defaults to `None`, the first `unroll`.
        validation_depth: Int, scheduled. Truncations of a validation's
            episode. Defaults to `None`, the last `depth`.
        validation_warmup: Int. Truncations of a validation's episode that
            warm up. The optimizer that the run saves warms up for this many
            times `validation_unroll` steps. Defaults to `None`, the last
            `warmup`.
        validation_warmup_rate: Float. Rate of gradient descent in these.
            Defaults to `None`, `warmup_rate`.
        validation_seed: Int. Of the validation's data. Defaults to `12345`.
        seed: Int. Seed of the training's data. Defaults to `0`.
        description: Dict that JSON can hold and that says what the run is, for
            `config.json`. Defaults to `None`, the strategy's arguments, the
            student, the teachers and the problems.
        metadata: Dict of further metadata of the optimizer that the run
            saves. Defaults to `None`, nothing further.
        custom_objects: Dict of your own classes by their names, which
            `load_optimizer` needs, as in `keras_l2o.load`. Defaults to
            `None`, no such classes.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> class UntilGood(keras_l2o.strategies.Strategy):
    ...     def next(self, rows):
    ...         is_good = rows and rows[-1].validation < 0.0
    ...         return None if is_good else super().next(rows)
    >>> strategy = UntilGood(
    ...     num_periods=2, unroll=2, depth=1, episodes=1, warmup=0)
    >>> history = trainer.fit(callbacks=[strategy], verbose=0)
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        num_periods: int,
        unroll: Scheduled,
        depth: Scheduled,
        episodes: int,
        warmup: Scheduled,
        warmup_rate: float = 0.05,
        imitation_weight: Scheduled = 0.5,
        validation_episodes: int = 1,
        validation_unroll: int | None = None,
        validation_depth: Scheduled | None = None,
        validation_warmup: int | None = None,
        validation_warmup_rate: float | None = None,
        validation_seed: int = 12345,
        shortest_depth: int | None = None,
        seed: int = 0,
        description: Config | None = None,
        metadata: Config | None = None,
        custom_objects: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.directory = None if directory is None else str(directory)
        self.description, self.metadata = description, metadata or {}
        self.custom_objects = custom_objects
        self.num_periods = checks.count("num_periods", num_periods)
        self.unroll = Schedule(unroll, int, 1, "unroll")
        self.depth = Schedule(depth, int, 1, "depth")
        self.episodes = checks.count("episodes", episodes)
        self.warmup = Schedule(warmup, int, 0, "warmup")
        self.warmup_rate = warmup_rate
        self.imitation_weight = Schedule(
            imitation_weight, float, 0, "imitation_weight"
        )
        self.validation_episodes = checks.count(
            "validation_episodes", validation_episodes
        )
        if validation_unroll is not None:
            checks.count("validation_unroll", validation_unroll)
        self.validation_unroll = validation_unroll
        self.validation_depth = None
        if validation_depth is not None:
            self.validation_depth = Schedule(
                validation_depth, int, 1, "validation_depth"
            )
        if validation_warmup is not None:
            checks.count("validation_warmup", validation_warmup, least=0)
        self.validation_warmup = validation_warmup
        self.validation_warmup_rate = validation_warmup_rate
        self.validation_seed = validation_seed
        if shortest_depth is not None:
            checks.count("shortest_depth", shortest_depth)
        self.shortest_depth = shortest_depth
        self.seed = seed
        self.rows: Sequence[Row] = []

    # The plan: pure functions of the rows.

    def next(self, rows: Sequence[Row]) -> Period | None:
        """The period that comes next.

        Args:
            rows: List of `Row`, the finished periods.

        Returns:
            A `Period`, or `None` if the run ends.
        """
        number = len(self.kept(rows))
        if number >= self.num_periods:
            return None
        return self.period(rows, number, stage=0, period=number)

    def keeps(self, rows: Sequence[Row], validation: float) -> bool:
        """Whether a period is kept, and not rolled back.

        Args:
            rows: List of `Row`, the finished periods before it.
            validation: Float. The student's log loss in its validation.

        Returns:
            Bool.
        """
        return True

    def best(self, rows: Sequence[Row]) -> Row | None:
        """The period after which the student was best.

        It is the one of least loss in the last stage: losses of different
        stages do not compare.

        Args:
            rows: List of `Row`, the finished periods.

        Returns:
            A `Row`, or `None` if no period was kept.
        """
        kept = [row for row in rows if row.kept]
        if not kept:
            return None
        return min(
            self.kept(rows, kept[-1].period.stage),
            key=lambda row: row.validation,
        )

    def needed(self, rows: Sequence[Row]) -> set[str]:
        """The checkpoints that the run may still load.

        Args:
            rows: List of `Row`, the finished periods.

        Returns:
            Set of their names.
        """
        kept = [row for row in rows if row.kept]
        return {row.checkpoint for row in [*kept[-1:], self.best(rows)] if row}

    def kept(self, rows: Sequence[Row], stage: int = 0) -> list[Row]:
        """The periods of a stage that were not rolled back.

        Args:
            rows: List of `Row`, the finished periods.
            stage: Int. Defaults to `0`.

        Returns:
            List of `Row`.
        """
        return [row for row in rows if row.kept and row.period.stage == stage]

    def rolled_back(self, rows: Sequence[Row]) -> int:
        """How often the period that comes next was rolled back before.

        Args:
            rows: List of `Row`, the finished periods.

        Returns:
            Int.
        """
        count = 0
        while count < len(rows) and not rows[-1 - count].kept:
            count += 1
        return count

    def period(
        self,
        rows: Sequence[Row],
        index: int,
        stage: int,
        period: int,
        start: Row | None = None,
    ) -> Period:
        """Makes the period that comes next from the scheduled arguments.

        Args:
            rows: List of `Row`, the finished periods.
            index: Int. Where the scheduled arguments are taken.
            stage: Int. The period's stage.
            period: Int. The period's number in its stage.
            start: `Row` whose checkpoint it starts from. Defaults to `None`,
                the last that was kept.

        Returns:
            A `Period`.
        """
        kept = [row for row in rows if row.kept]
        start = start or (kept[-1] if kept else None)
        return Period(
            stage=stage,
            period=period,
            attempt=self.rolled_back(rows),
            depth=self.depth(index),
            unroll=self.unroll(index),
            episodes=self.episodes,
            warmup=self.warmup(index),
            imitation_weight=self.imitation_weight(index),
            validation_depth=self.depth_of_validation(index),
            start=start.checkpoint if start else "",
        )

    def depth_of_validation(self, index: int) -> int:
        """Truncations of a validation, the same in all periods of a stage.

        Args:
            index: Int. Where the scheduled arguments are taken.

        Returns:
            Int, without the truncations that warm up.
        """
        if self.validation_depth is None:
            return self.depth(self.scheduled - 1)
        return self.validation_depth(index)

    @property
    def scheduled(self) -> int:
        """Int. How many values of each schedule the run uses."""
        return self.num_periods

    @property
    def planned(self) -> int:  # type: ignore[override]
        return self.num_periods

    def validation_of(self, period: Period) -> dict[str, Any]:
        """The arguments of `MetaTrainer.set_validation` for a period.

        Args:
            period: `Period`.

        Returns:
            Dict.
        """
        unroll, warmup = self.validation_unroll, self.validation_warmup
        rate = self.validation_warmup_rate
        if warmup is None:
            warmup = self.warmup(self.scheduled - 1)
        return {
            "unroll": self.unroll(0) if unroll is None else unroll,
            "depth": period.validation_depth + warmup,
            "warmup": warmup,
            "warmup_rate": self.warmup_rate if rate is None else rate,
            "rollouts": self.validation_episodes,
            "seed": self.validation_seed,
        }

    def episodes_of(self, period: Period) -> dict[str, Any]:
        """The arguments of `MetaTrainer.set_episodes` for a period.

        Args:
            period: `Period`.

        Returns:
            Dict, without the seed.
        """
        depth: Any = period.depth + period.warmup
        if self.shortest_depth is not None:
            depth = (min(self.shortest_depth + period.warmup, depth), depth)
        return {
            "unroll": period.unroll,
            "depth": depth,
            "warmup": period.warmup,
            "warmup_rate": self.warmup_rate,
        }

    def load_optimizer(self, replicate: int | str = "") -> LearnedOptimizer:
        """Loads the best optimizer that the run has saved so far.

        Args:
            replicate: Int, from 1, if the run has several replicates.
                Defaults to `""`, for a run of one student.

        Returns:
            A `LearnedOptimizer`.

        Raises:
            RunError: The run has no directory, or no such optimizer yet.

        Example:

        >>> strategy = keras_l2o.strategies.Simple(
        ...     "results", num_periods=1, unroll=2, depth=1, episodes=1)
        >>> history = trainer.fit(callbacks=[strategy], verbose=0)
        >>> optimizer = strategy.load_optimizer()
        """
        if self.directory is None:
            raise RunError(
                "The run has no directory to load an optimizer from. Give the "
                "strategy one, or take `trainer.to_optimizer()`."
            )
        folders = RunDirectory(self.directory).optimizers()
        if str(replicate) not in folders:
            raise RunError(
                f"There is no optimizer of replicate {replicate!r} in "
                f"{self.directory}. There are: {', '.join(folders) or 'none'}."
            )
        return hub.load(folders[str(replicate)], self.custom_objects)

    def run(self, trainer: MetaTrainer) -> Run:
        """Makes the run of a trainer, which `fit` enters.

        Args:
            trainer: The `MetaTrainer`.

        Returns:
            A callback that is also a context.
        """
        return Run(self, trainer)

    def get_config(self) -> Config:
        """The arguments of the constructor that the plan depends on.

        Returns:
            Dict that JSON can hold.
        """
        return {
            "num_periods": self.num_periods,
            "unroll": self.unroll.config(),
            "depth": self.depth.config(),
            "episodes": self.episodes,
            "warmup": self.warmup.config(),
            "warmup_rate": self.warmup_rate,
            "imitation_weight": self.imitation_weight.config(),
            "validation_episodes": self.validation_episodes,
            "validation_unroll": self.validation_unroll,
            "validation_depth": self.validation_depth
            and self.validation_depth.config(),
            "validation_warmup": self.validation_warmup,
            "validation_warmup_rate": self.validation_warmup_rate,
            "validation_seed": self.validation_seed,
            "shortest_depth": self.shortest_depth,
            "seed": self.seed,
        }
