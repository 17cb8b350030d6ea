"""Figures of a run for TensorBoard."""

import keras

from keras_l2o import extras


class TensorBoard(keras.callbacks.Callback):
    """Callback that logs a run's outer steps and periods for TensorBoard.

    It uses the writer of TensorBoard itself, which does not need TensorFlow. If
    a run is resumed, its steps are numbered on from those before.

    Args:
        folder: Path of the folder that the logs are written to.
        strategy: The run's `keras_l2o.strategies.Strategy`.

    Raises:
        keras_l2o.extras.MissingExtra: TensorBoard is not installed.
    """

    def __init__(self, folder, strategy):
        super().__init__()
        extras.need("tensorboard", "--tensorboard")
        self.folder, self.strategy = str(folder), strategy

    def on_train_begin(self, logs=None):
        from tensorboard.summary import Writer

        self._writer = Writer(self.folder)
        periods = (row.period for row in self.strategy.rows)
        self._step = sum(map(self.strategy.outer_steps, periods))

    def on_train_batch_end(self, batch, logs=None):
        self._write("outer_step", logs, self._step)
        self._step += 1

    def on_epoch_end(self, epoch, logs=None):
        self._write("period", logs, epoch)
        self._writer.flush()

    def on_train_end(self, logs=None):
        self._writer.close()

    def _write(self, group, logs, step):
        for name, value in (logs or {}).items():
            self._writer.add_scalar(f"{group}/{name}", float(value), step)
