from keras_l2o.strategies.repeat import Repeat
from keras_l2o.training import checks


class Curriculum(Repeat):
    """Trains in stages of longer and longer episodes.

    A stage has at least `num_periods` periods, and goes on until its best
    validation is `num_chances` periods old. It validates at the next stage's
    depth. The next stage starts from the best checkpoint. Within a stage,
    periods are rolled back as in `Repeat`.

    Args:
        directory: Path of the run's directory, or `None` to leave no files.
        num_stages: Int. Defaults to `4`.
        num_periods: Int. Least number of a stage's periods. Defaults to `5`.
        num_chances: Int. Defaults to `5`.
        unroll_len: Int, scheduled by stage. Defaults to `100`.
        depth: Int, scheduled by stage. Defaults to `(1, 2, 5, 10, 20)`; the
            last is the depth of the last stage's validation.
        episodes: Int. Episodes of a period. Defaults to `10`.
        warmup: Int, scheduled by stage. Defaults to `1`.
        repeat_threshold: Float. Defaults to `0.5`.
        max_repeat: Int. Defaults to `4`.
        **options: Further arguments of `Strategy`, scheduled by stage.

    Reference:
        - [Chen et al., 2020](https://arxiv.org/abs/2010.09089)
    """

    def __init__(
        self,
        directory=None,
        *,
        num_stages=4,
        num_periods=5,
        num_chances=5,
        unroll_len=100,
        depth=(1, 2, 5, 10, 20),
        episodes=10,
        warmup=1,
        repeat_threshold=0.5,
        max_repeat=4,
        **options,
    ):
        self.num_stages = checks.count("num_stages", num_stages)
        self.num_chances = checks.count("num_chances", num_chances)
        super().__init__(
            directory,
            num_periods=num_periods,
            unroll_len=unroll_len,
            depth=depth,
            episodes=episodes,
            warmup=warmup,
            repeat_threshold=repeat_threshold,
            max_repeat=max_repeat,
            **options,
        )

    def next(self, rows):
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

    def depth_of_validation(self, index):
        if self.validation_depth is None:
            return self.depth(index + 1)
        return self.validation_depth(index)

    @property
    def scheduled(self):
        return self.num_stages

    @property
    def planned(self):
        least = max(self.num_periods, self.num_chances + 1)
        return self.num_stages * least

    def get_config(self):
        return {
            "num_stages": self.num_stages,
            "num_chances": self.num_chances,
            **super().get_config(),
        }
