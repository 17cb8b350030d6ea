from typing import Any

from keras_l2o.strategies.schedules import Scheduled
from keras_l2o.strategies.strategy import Strategy
from keras_l2o.typing import Path


class Simple(Strategy):
    """Runs a number of periods, one after the other.

    Arguments that are scheduled take a value for each period.

    Args:
        directory: Path of the run's directory, or `None` to leave no files.
            Defaults to `None`.
        num_periods: Int. Periods of the run. Defaults to `25`.
        unroll: Int, scheduled. Inner steps of a truncation. Defaults to `20`.
        depth: Int, scheduled. Truncations of an episode. Defaults to `25`.
        episodes: Int. Episodes of a period. Defaults to `10`.
        warmup: Int, scheduled. Truncations of an episode that run gradient
            descent before the others. Defaults to `0`.
        **options: Further arguments of `Strategy`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> strategy = keras_l2o.strategies.Simple(
    ...     "results/mine", num_periods=2, unroll=2, depth=1, episodes=1)
    >>> history = trainer.fit(callbacks=[strategy], verbose=0)
    >>> [row.checkpoint for row in strategy.rows]
    ['0-0-0', '0-1-0']
    """

    plans_ahead = True

    def __init__(
        self,
        directory: Path | None = None,
        *,
        num_periods: int = 25,
        unroll: Scheduled = 20,
        depth: Scheduled = 25,
        episodes: int = 10,
        warmup: Scheduled = 0,
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
