import keras

from keras_l2o import extras


class TensorBoard(keras.callbacks.Callback):
    """Writes the figures of a run's outer steps and periods for TensorBoard.

    TensorBoard's own writer, which needs no TensorFlow. The steps of a run
    that is taken up again go on where they were.

    Args:
        folder: Path.
        strategy: The run's `keras_l2o.strategies.Strategy`.
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
