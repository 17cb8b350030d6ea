from collections.abc import Sequence
from typing import Any

from keras_l2o.strategies.rows import Row
from keras_l2o.strategies.schedules import Scheduled
from keras_l2o.strategies.strategy import Strategy
from keras_l2o.training import checks
from keras_l2o.typing import Config
from keras_l2o.typing import Path


class Repeat(Strategy):
    """Runs a period again, from its start, if it has made the student worse.

    A period is rolled back if

        validation > last + repeat_threshold * |last|

    where `validation` is the student's log loss in validation after the
    period, and `last` that after the last period that was kept. The period
    then runs again with other data, at most `max_repeat` times; the last
    attempt is kept, however good or bad it is.

    Arguments that are scheduled take a value for each period.

    Args:
        directory: Path of the run's directory, or `None` to leave no files.
            Defaults to `None`.
        num_periods: Int. Periods of the run that are kept. Defaults to `20`.
        unroll: Int, scheduled. Inner steps of a truncation. Defaults to `100`.
        depth: Int, scheduled. Truncations of an episode. Defaults to
            `(1, 2, 5)`.
        episodes: Int. Episodes of a period. Defaults to `10`.
        warmup: Int, scheduled. Truncations of an episode that run gradient
            descent before the others. Defaults to `0`.
        repeat_threshold: Non-negative float. How much worse a period may make
            the student, relative to the last validation loss. Defaults to
            `0.8`.
        max_repeat: Int. How often one period may be rolled back. Defaults to
            `4`.
        **options: Further arguments of `Strategy`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> strategy = keras_l2o.strategies.Repeat(
    ...     num_periods=2, unroll=2, depth=1, episodes=1, max_repeat=0)
    >>> history = trainer.fit(callbacks=[strategy], verbose=0)
    >>> len(strategy.rows)
    2
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        num_periods: int = 20,
        unroll: Scheduled = 100,
        depth: Scheduled = (1, 2, 5),
        episodes: int = 10,
        warmup: Scheduled = 0,
        repeat_threshold: float = 0.8,
        max_repeat: int = 4,
        **options: Any,
    ) -> None:
        super().__init__(
            directory,
            num_periods=num_periods,
            unroll=unroll,
            depth=depth,
            episodes=episodes,
            warmup=warmup,
            **options,
        )
        if not repeat_threshold >= 0:
            raise ValueError(
                "Argument `repeat_threshold` must be a non-negative number. "
                f"Received: repeat_threshold={repeat_threshold}"
            )
        self.repeat_threshold = repeat_threshold
        self.max_repeat = checks.count("max_repeat", max_repeat, least=0)

    def keeps(self, rows: Sequence[Row], validation: float) -> bool:
        if self.rolled_back(rows) >= self.max_repeat:
            return True
        coming = self.next(rows)
        assert coming is not None  # it is the period that has just ended
        before = self.kept(rows, coming.stage)
        if not before:  # stages differ in the depth of validation, so in losses
            return True
        last = before[-1].validation
        return not validation > last + self.repeat_threshold * abs(last)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "repeat_threshold": self.repeat_threshold,
            "max_repeat": self.max_repeat,
        }
