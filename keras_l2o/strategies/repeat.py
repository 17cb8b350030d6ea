from keras_l2o.strategies.strategy import Strategy
from keras_l2o.training import checks


class Repeat(Strategy):
    """Runs a period again, from its start, if it has made things worse.

    A period is rolled back when its validation loss exceeds the last one's,
    `last`, by more than `repeat_threshold * |last|`. It runs again on other
    data, at most `max_repeat` times; the last attempt stays, whatever it is.

    Args:
        directory: Path of the run's directory, or `None` to leave no files.
        num_periods: Int. Defaults to `20`.
        unroll_len: Int, scheduled by period. Defaults to `100`.
        depth: Int, scheduled by period. Defaults to `(1, 2, 5)`.
        episodes: Int. Episodes of a period. Defaults to `10`.
        warmup: Int, scheduled by period. Defaults to `0`.
        repeat_threshold: Float. Defaults to `0.8`.
        max_repeat: Int. Defaults to `4`.
        **options: Further arguments of `Strategy`, scheduled by period.
    """

    def __init__(
        self,
        directory=None,
        *,
        num_periods=20,
        unroll_len=100,
        depth=(1, 2, 5),
        episodes=10,
        warmup=0,
        repeat_threshold=0.8,
        max_repeat=4,
        **options,
    ):
        super().__init__(
            directory,
            num_periods=num_periods,
            unroll_len=unroll_len,
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

    def keeps(self, rows, validation):
        if self.rolled_back(rows) >= self.max_repeat:
            return True
        coming = self.next(rows)
        before = self.kept(rows, coming.stage)
        if not before:  # losses of another stage are of another depth
            return True
        last = before[-1].validation
        return not validation > last + self.repeat_threshold * abs(last)

    def get_config(self):
        return {
            **super().get_config(),
            "repeat_threshold": self.repeat_threshold,
            "max_repeat": self.max_repeat,
        }
