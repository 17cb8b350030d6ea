"""One trainer for the tests of runs, small plans, and a look at summaries."""

import csv

import keras

import keras_l2o
from keras_l2o import policies
from keras_l2o import problems
from keras_l2o import strategies
from keras_l2o.strategies.rows import TIMES
from tests.conftest import tiny_model
from tests.training import helpers

SMALL = dict(
    unroll=3, episodes=2, imitation_weight=[0.5, 0.1], validation_warmup=1
)


class Bench:
    """One trainer for all runs, put back to its first values before each."""

    def __init__(self, data):
        keras.utils.set_random_seed(3)
        self.model = keras_l2o.MetaTrainer(
            student=policies.RNNProp(units=(3,)),
            teachers=[policies.Adam(0.02)],
            problems=problems.Problem(tiny_model, data, batch_size=16),
            tasks=1,
            validation_tasks=1,
            unroll=3,
            warmup=1,
        )
        self.model.compile(optimizer=keras.optimizers.Adam(0.2))
        self.noise = keras_l2o.perturbations.Gaussian(1e-2)
        self._first = helpers.Bench(self.model)

    def run(self, strategy, *callbacks):
        return self._first.model().fit(
            callbacks=[strategy, self.noise, *callbacks], verbose=0
        )

    def weights(self):
        return helpers.weights(self.model)


def curriculum(directory, **options):
    arguments = dict(
        num_stages=2, num_periods=1, num_chances=1, depth=[1, 2], **SMALL
    )
    return strategies.Curriculum(directory, **{**arguments, **options})


def simple(directory=None, **options):
    arguments = dict(num_periods=3, depth=1, warmup=1, **SMALL)
    return strategies.Simple(directory, **{**arguments, **options})


def summary(directory):
    """The lines of summary.csv without the times."""
    with open(directory / "summary.csv") as file:
        lines = list(csv.DictReader(file))
    return [
        {key: text for key, text in line.items() if key not in TIMES}
        for line in lines
    ]


class Stop(keras.callbacks.Callback):
    """Ends the process's work in the middle of a period."""

    class Now(BaseException):
        pass

    def __init__(self, epoch, batch):
        super().__init__()
        self.epoch, self.batch, self.now = epoch, batch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, self.batch):
            raise Stop.Now
