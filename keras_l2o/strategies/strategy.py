from keras_l2o import hub
from keras_l2o.strategies.errors import RunError
from keras_l2o.strategies.run import Run
from keras_l2o.strategies.run_directory import RunDirectory
from keras_l2o.strategies.schedules import Schedule
from keras_l2o.training import checks
from keras_l2o.training.periods import Period
from keras_l2o.training.periods import Plan


class Strategy(Plan):
    """Base class: plans a run's periods, and keeps the run on disk.

    Hand it to `MetaTrainer.fit(callbacks=[...])`. A period is `episodes`
    episodes of training, a validation on a fixed seed, a checkpoint and a row
    of `summary.csv`; it is one epoch of `fit`. The plan is a function of the
    rows alone: a run that was killed goes on from the last finished period
    when `fit` is called again with the same directory, and ends with what it
    would have ended with. In the end the trainer has the best student.

    A scheduled argument may be a number, a list whose last entry stays, or
    another form of `keras_l2o.strategies.Schedule`.

    Args:
        directory: Path of the run's directory, or `None` to leave no files.
        num_periods: Int. Periods of the run.
        unroll_len: Int, scheduled. Inner steps of a truncation.
        depth: Int, scheduled. Truncations of an episode.
        shortest_depth: Int. If given, the depth of each episode is drawn
            log-uniformly between it and `depth`. Defaults to `None`.
        episodes: Int. Episodes of a period, one after the other, of the depth
            `depth`: with drawn depths there are more in as many steps.
        warmup: Int, scheduled. Truncations of an episode that run gradient
            descent before the others, while the policies' moments accumulate.
        warmup_rate: Float. Rate of that gradient descent. Defaults to `0.05`.
        annealing_schedule: Float, scheduled. Weight of the imitation loss.
            Defaults to `0.5`.
        validation_episodes: Int. Episodes of a validation, one after the other.
            Defaults to `1`.
        validation_unroll: Int. Defaults to the first `unroll_len`.
        validation_depth: Int, scheduled. Truncations of a validation's
            episode. Defaults to the last `depth`.
        validation_warmup: Int. Truncations of a validation's episode that
            warm up. The optimizer that comes out warms up for this many times
            `validation_unroll` steps. Defaults to the last `warmup`.
        validation_warmup_rate: Float. Defaults to `warmup_rate`.
        validation_seed: Int. Defaults to `12345`.
        seed: Int. Of the training's data. Defaults to `0`.
        description: Dict that JSON can hold: what the run is, for
            `config.json`. Defaults to the strategy's arguments, the student,
            the teachers and the problems.
        metadata: Dict of more metadata of the optimizer that comes out.
        custom_objects: Dict of classes of your own by name, for
            `load_optimizer`, as in `keras_l2o.load`. The run itself needs
            none: it has its student at hand. Defaults to none.
    """

    def __init__(
        self,
        directory=None,
        *,
        num_periods,
        unroll_len,
        depth,
        episodes,
        warmup,
        warmup_rate=0.05,
        annealing_schedule=0.5,
        validation_episodes=1,
        validation_unroll=None,
        validation_depth=None,
        validation_warmup=None,
        validation_warmup_rate=None,
        validation_seed=12345,
        shortest_depth=None,
        seed=0,
        description=None,
        metadata=None,
        custom_objects=None,
    ):
        super().__init__()
        self.directory = None if directory is None else str(directory)
        self.description, self.metadata = description, metadata or {}
        self.custom_objects = custom_objects
        self.num_periods = checks.count("num_periods", num_periods)
        self.unroll_len = Schedule(unroll_len, int, 1, "unroll_len")
        self.depth = Schedule(depth, int, 1, "depth")
        self.episodes = checks.count("episodes", episodes)
        self.warmup = Schedule(warmup, int, 0, "warmup")
        self.warmup_rate = warmup_rate
        self.annealing_schedule = Schedule(
            annealing_schedule, float, 0, "annealing_schedule"
        )
        self.validation_episodes = checks.count(
            "validation_episodes", validation_episodes
        )
        if validation_unroll is not None:
            checks.count("validation_unroll", validation_unroll)
        self.validation_unroll = validation_unroll
        if validation_depth is not None:
            validation_depth = Schedule(
                validation_depth, int, 1, "validation_depth"
            )
        self.validation_depth = validation_depth
        if validation_warmup is not None:
            checks.count("validation_warmup", validation_warmup, least=0)
        self.validation_warmup = validation_warmup
        self.validation_warmup_rate = validation_warmup_rate
        self.validation_seed = validation_seed
        if shortest_depth is not None:
            checks.count("shortest_depth", shortest_depth)
        self.shortest_depth = shortest_depth
        self.seed = seed
        self.rows = []

    # The plan: pure functions of the rows.

    def next(self, rows):
        """The next `Period`, or `None` at the end.

        Args:
            rows: List of `Row`, the periods that are finished.
        """
        number = len(self.kept(rows))
        if number >= self.num_periods:
            return None
        return self.period(rows, number, stage=0, period=number)

    def keeps(self, rows, validation):
        """Whether a period that ends with this loss stays.

        Args:
            rows: List of `Row`, the periods before it.
            validation: Float.
        """
        return True

    def best(self, rows):
        """The `Row` with the best student, or `None` if there is no row.

        Losses compare within a stage; a later stage goes before.
        """
        kept = [row for row in rows if row.kept]
        if not kept:
            return None
        return min(
            self.kept(rows, kept[-1].period.stage),
            key=lambda row: row.validation,
        )

    def needed(self, rows):
        """Names of the checkpoints that the run may still ask for."""
        kept = [row for row in rows if row.kept]
        return {row.checkpoint for row in [*kept[-1:], self.best(rows)] if row}

    def kept(self, rows, stage=0):
        """A stage's rows that were not rolled back."""
        return [row for row in rows if row.kept and row.period.stage == stage]

    def rolled_back(self, rows):
        """How often the period that comes next was rolled back."""
        count = 0
        while count < len(rows) and not rows[-1 - count].kept:
            count += 1
        return count

    def period(self, rows, index, stage, period, start=None):
        """A `Period` with the scheduled values of an index.

        It starts from the row `start`, by default the last that was kept.
        """
        kept = [row for row in rows if row.kept]
        start = start or (kept[-1] if kept else None)
        return Period(
            stage=stage,
            period=period,
            attempt=self.rolled_back(rows),
            depth=self.depth(index),
            unroll=self.unroll_len(index),
            episodes=self.episodes,
            warmup=self.warmup(index),
            imitation_weight=self.annealing_schedule(index),
            validation_depth=self.depth_of_validation(index),
            start=start.checkpoint if start else "",
        )

    def depth_of_validation(self, index):
        """Truncations of a validation, the same wherever losses compare."""
        if self.validation_depth is None:
            return self.depth(self.scheduled - 1)
        return self.validation_depth(index)

    @property
    def scheduled(self):
        """How many values of each schedule the run comes to."""
        return self.num_periods

    @property
    def planned(self):
        return self.num_periods

    def validation_of(self, period):
        """Arguments of the trainer's validation after a period."""
        unroll, warmup = self.validation_unroll, self.validation_warmup
        rate = self.validation_warmup_rate
        if warmup is None:
            warmup = self.warmup(self.scheduled - 1)
        return {
            "unroll": self.unroll_len(0) if unroll is None else unroll,
            "depth": period.validation_depth + warmup,
            "warmup": warmup,
            "warmup_rate": self.warmup_rate if rate is None else rate,
            "rollouts": self.validation_episodes,
            "seed": self.validation_seed,
        }

    def episodes_of(self, period):
        """Arguments of the trainer's episodes in a period."""
        depth = period.depth + period.warmup
        if self.shortest_depth is not None:
            depth = (min(self.shortest_depth + period.warmup, depth), depth)
        return {
            "unroll": period.unroll,
            "depth": depth,
            "warmup": period.warmup,
            "warmup_rate": self.warmup_rate,
        }

    def load_optimizer(self, replicate=""):
        """The best optimizer that the run has left in its directory so far.

        Args:
            replicate: Int, from 1, in a run of several. Defaults to the
                optimizer of a run of one.

        Returns:
            A `LearnedOptimizer`.

        Raises:
            RunError: The run leaves no files, or has no such optimizer yet.

        Example:

        >>> strategy = keras_l2o.strategies.Simple(
        ...     "results/mine", custom_objects={"mine>MyRule": MyRule})
        >>> trainer.fit(callbacks=[strategy])
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

    def run(self, trainer):
        """The `Run` of a trainer, which `fit` enters."""
        return Run(self, trainer)

    def get_config(self):
        """The arguments that shape the plan, as the constructor takes them."""
        return {
            "num_periods": self.num_periods,
            "unroll_len": self.unroll_len.config(),
            "depth": self.depth.config(),
            "episodes": self.episodes,
            "warmup": self.warmup.config(),
            "warmup_rate": self.warmup_rate,
            "annealing_schedule": self.annealing_schedule.config(),
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
