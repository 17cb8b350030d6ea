from keras_l2o.strategies.strategy import Strategy


class Simple(Strategy):
    """Runs a number of periods, one after the other.

    Args:
        directory: Path of the run's directory, or `None` to leave no files.
        num_periods: Int. Defaults to `25`.
        unroll_len: Int, scheduled by period. Defaults to `20`.
        depth: Int, scheduled by period. Defaults to `25`.
        episodes: Int. Episodes of a period. Defaults to `10`.
        warmup: Int, scheduled by period. Defaults to `0`.
        **options: Further arguments of `Strategy`, scheduled by period.

    Example:

    >>> trainer.fit(callbacks=[
    ...     keras_l2o.strategies.Simple("results/x", num_periods=5)])
    """

    plans_ahead = True

    def __init__(
        self,
        directory=None,
        *,
        num_periods=25,
        unroll_len=20,
        depth=25,
        episodes=10,
        warmup=0,
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
