"""How good an optimizer is: runs, baselines, statistics and pictures."""

# ruff: noqa: E402
from keras_l2o import extras

extras.need("evaluation", "keras_l2o.evaluation")

from keras_l2o.evaluation import collection
from keras_l2o.evaluation import storage
from keras_l2o.evaluation.comparison import against_oracle
from keras_l2o.evaluation.comparison import paired_curves
from keras_l2o.evaluation.comparison import speed_up
from keras_l2o.evaluation.protocol import Protocol
from keras_l2o.evaluation.search import baselines
from keras_l2o.evaluation.search import best_rates
from keras_l2o.evaluation.search import gridsearch
from keras_l2o.evaluation.search import oracle
from keras_l2o.evaluation.statistics import figures
from keras_l2o.evaluation.statistics import mixed_interval
from keras_l2o.evaluation.statistics import summary
from keras_l2o.evaluation.storage import Evaluation
from keras_l2o.evaluation.storage import read
from keras_l2o.evaluation.suite import evaluate
from keras_l2o.evaluation.suite import evaluate_replicates
from keras_l2o.evaluation.training_run import TrainingRun
from keras_l2o.evaluation.training_run import end_loss
from keras_l2o.evaluation.training_run import train

__all__ = [
    "Evaluation",
    "Protocol",
    "TrainingRun",
    "against_oracle",
    "baselines",
    "best_rates",
    "collection",
    "end_loss",
    "evaluate",
    "evaluate_replicates",
    "figures",
    "gridsearch",
    "mixed_interval",
    "oracle",
    "paired_curves",
    "read",
    "speed_up",
    "storage",
    "summary",
    "train",
]
