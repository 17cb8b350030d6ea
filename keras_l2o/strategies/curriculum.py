from collections.abc import Sequence
from typing import Any

from keras_l2o.strategies.repeat import Repeat
from keras_l2o.strategies.rows import Row
from keras_l2o.strategies.schedules import Scheduled
from keras_l2o.training import checks
from keras_l2o.training.periods import Period
from keras_l2o.typing import Config
from keras_l2o.typing import Path


class Curriculum(Repeat):
    """Trains in stages of longer and longer episodes.

    A stage has at least `num_periods` periods, and ends when its best
    validation loss is `num_chances` periods old. Its validation has the depth
    of the next stage. The next stage starts from the checkpoint of the best
    period. Within a stage, periods are rolled back as in `Repeat`.

    Arguments that are scheduled take a value for each stage.

    Args:
        directory: Path of the run's directory, or `None` to leave no files.
            Defaults to `None`.
        num_stages: Int. Stages of the run. Defaults to `4`.
        num_periods: Int. Least number of periods of a stage. Defaults to `5`.
        num_chances: Int. A stage ends when so many of its periods have passed
            without a better validation loss. Defaults to `5`.
        unroll: Int, scheduled. Inner steps of a truncation. Defaults to `100`.
        depth: Int, scheduled. Truncations of an episode. A list has one value
            more than there are stages: the depth of the last validation.
            Defaults to `(1, 2, 5, 10, 20)`.
        episodes: Int. Episodes of a period. Defaults to `10`.
        warmup: Int, scheduled. Truncations of an episode that run gradient
            descent before the others. Defaults to `1`.
        repeat_threshold: Non-negative float. How much worse a period may make
            the student, as in `Repeat`. Defaults to `0.5`.
        max_repeat: Int. How often one period may be rolled back. Defaults to
            `4`.
        **options: Further arguments of `Strategy`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> strategy = keras_l2o.strategies.Curriculum(num_stages=2, depth=(1, 5))
    >>> strategy.next([]).depth, strategy.next([]).validation_depth
    (1, 5)

    Reference:
        - [Chen et al., 2020](https://arxiv.org/abs/2010.09089)
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        num_stages: int = 4,
        num_periods: int = 5,
        num_chances: int = 5,
        unroll: Scheduled = 100,
        depth: Scheduled = (1, 2, 5, 10, 20),
        episodes: int = 10,
        warmup: Scheduled = 1,
        repeat_threshold: float = 0.5,
        max_repeat: int = 4,
        **options: Any,
    ) -> None:
        self.num_stages = checks.count("num_stages", num_stages)
        self.num_chances = checks.count("num_chances", num_chances)
        super().__init__(
            directory,
            num_periods=num_periods,
            unroll=unroll,
            depth=depth,
            episodes=episodes,
            warmup=warmup,
            repeat_threshold=repeat_threshold,
            max_repeat=max_repeat,
            **options,
        )

    def next(self, rows: Sequence[Row]) -> Period | None:
        stage = rows[-1].period.stage if rows else 0
        kept = self.kept(rows, stage)
        if not self._is_over(kept):
            return self.period(rows, stage, stage, len(kept))
        if stage + 1 == self.num_stages:
            return None
        return self.period(rows, stage + 1, stage + 1, 0, self.best(rows))

    def _is_over(self, kept):
        if len(kept) < self.num_periods:
            return False
        losses = [row.validation for row in kept]
        age = len(losses) - 1 - losses.index(min(losses))
        return age >= self.num_chances

    def depth_of_validation(self, index: int) -> int:
        if self.validation_depth is None:
            return self.depth(index + 1)
        return self.validation_depth(index)

    @property
    def scheduled(self) -> int:
        return self.num_stages

    @property
    def planned(self) -> int:  # type: ignore[override]
        least = max(self.num_periods, self.num_chances + 1)
        return self.num_stages * least

    def get_config(self) -> Config:
        return {
            "num_stages": self.num_stages,
            "num_chances": self.num_chances,
            **super().get_config(),
        }
