"""Progress of a search for a perturbation, trial by trial."""

import keras

from keras_l2o.tuner import search
from keras_l2o_commands.progress import COMPILING


class TrialProgress(keras.callbacks.Callback):
    """Callback that shows which trial of a search this process is training.

    Args:
        directory: Path of the search's directory.
        trials: Int. Number of trials, or `None` if it is not known.
        progress: `Progress`. Its unit of work is the trial.
    """

    def __init__(self, directory, trials, progress):
        super().__init__()
        self.directory, self.trials = directory, trials
        self.progress = progress
        self._title = ""

    def __deepcopy__(self, memo):
        """Returns itself, so that all trials share one callback.

        keras-tuner makes deep copies of its callbacks for each trial.
        """
        return self

    def on_train_begin(self, logs=None):
        self._ended = search.count_ended(self.directory)
        of = "" if self.trials is None else f" of {self.trials}"
        title = f"trial {self._ended + 1}{of}"
        self.progress.move(self._ended, title)
        if title != self._title:  # the first of the trial's students
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
