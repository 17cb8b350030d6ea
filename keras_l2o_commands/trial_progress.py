import keras

from keras_l2o.tuner import search
from keras_l2o_commands.progress import COMPILING


class TrialProgress(keras.callbacks.Callback):
    """Shows which trial of a search is under way in this process.

    Args:
        directory: Path of the search.
        trials: Int, or `None` if nobody knows how many there will be.
        progress: `Progress`. Its unit is the trial.
    """

    def __init__(self, directory, trials, progress):
        super().__init__()
        self.directory, self.trials = directory, trials
        self.progress = progress
        self._title = ""

    def __deepcopy__(self, memo):
        """Itself: a tuner copies callbacks for each trial, this sees all."""
        return self

    def on_train_begin(self, logs=None):
        self._ended = search.count_ended(self.directory)
        of = "" if self.trials is None else f" of {self.trials}"
        title = f"trial {self._ended + 1}{of}"
        self.progress.move(self._ended, title)
        if title != self._title:  # not another student of the same
            self.progress.announce(f"{title}: {COMPILING}")
        self._title = title

    def on_train_batch_end(self, batch, logs=None):
        self._move(f"step {batch + 1} of {self.params['steps']}")

    def on_test_begin(self, logs=None):
        self._move("validation")

    def on_epoch_begin(self, epoch, logs=None):
        self._period = f"period {epoch + 1} of {self.params['epochs']}"

    def _move(self, line):
        self.progress.move(
            self._ended, f"{self._title}, {self._period}: {line}"
        )
