"""Progress of a run, period by period."""

import math

import keras

from keras_l2o.strategies.rows import Row
from keras_l2o_commands.progress import COMPILING

#: Most periods that `periods_ahead` returns, since a plan need not end.
MOST = 1000


class PeriodProgress(keras.callbacks.Callback):
    """Callback that shows which period of a run is trained, and what is left.

    Args:
        strategy: The run's `keras_l2o.strategies.Strategy`.
        progress: `Progress`. Its unit of work is the inner step.
    """

    def __init__(self, strategy, progress):
        super().__init__()
        self.strategy, self.progress = strategy, progress
        self._compiled, self._ahead = False, []

    def on_epoch_begin(self, epoch, logs=None):
        rows = self.strategy.rows
        self._look_ahead(rows)
        self._period = self._ahead[0]
        self._steps = self.strategy.outer_steps(self._period)
        self._before = sum(_work(row.period) for row in rows)
        self._title, self._total = f"period {len(rows) + 1}", None
        if len(self._ahead) < MOST:
            self._title += f" of {len(rows) + len(self._ahead)}"
            self._total = self._before + sum(map(_work, self._ahead))
        if not self._compiled:
            self.progress.announce(f"{self._title}: {COMPILING}")

    def on_train_batch_end(self, batch, logs=None):
        self._compiled = True
        self._move(
            batch + 1,
            f"step {batch + 1} of {self._steps}, "
            f"loss {float(logs['loss']):.3g}",
        )

    def on_test_begin(self, logs=None):
        self._move(self._steps, "validation")

    def on_epoch_end(self, epoch, logs=None):
        validation = float(logs["val_log_loss"])
        if math.isnan(validation):
            validation = math.inf  # as in `strategies.run.Run`
        rolled_back = not self.strategy.keeps(self.strategy.rows, validation)
        parts = [
            f"loss {float(logs['loss']):.4g}",
            f"validation {validation:.4g}" + ", rolled back" * rolled_back,
            self.progress.left(),
        ]
        self.progress.say(f"{self._title}: {', '.join(filter(None, parts))}")

    def _look_ahead(self, rows):
        """Plans the periods to come anew, unless they are the expected ones."""
        expected = [period._replace(start="") for period in self._ahead[1:2]]
        if expected == [self.strategy.next(rows)._replace(start="")]:
            del self._ahead[0]
        else:
            self._ahead = periods_ahead(self.strategy, rows)

    def _move(self, steps, line):
        self.progress.move(
            self._before + steps * _work(self._period) // self._steps,
            f"{self._title}: {line}",
            self._total,
        )


def periods_ahead(strategy, rows):
    """The periods that are left of a run, if no later one sets a new best.

    What comes next is a function of the finished periods alone, so the plan can
    be followed to its end without any training.

    Args:
        strategy: `keras_l2o.strategies.Strategy`.
        rows: List of `keras_l2o.strategies.Row`, the finished periods.

    Returns:
        List of `keras_l2o.strategies.Period`, at most `MOST`.
    """
    rows, periods = list(rows), []
    while len(periods) < MOST:
        period = strategy.next(rows)
        if period is None:
            break
        periods.append(period)
        # An infinite loss is never a new best, which would prolong a stage.
        rows.append(Row(period, math.inf, checkpoint="ahead"))
    return periods


def _work(period):
    """The inner steps of a period, of which a progress counts the work."""
    return period.truncations * period.unroll
