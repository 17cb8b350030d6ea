"""Meta-training: distils a pool of optimizers into one learned optimizer."""

from keras_l2o.training import estimators
from keras_l2o.training.balance import Balance
from keras_l2o.training.episodes import Episodes
from keras_l2o.training.episodes import ValidationEpisodes
from keras_l2o.training.meta_trainer import MetaTrainer
from keras_l2o.training.objective import Objective
from keras_l2o.training.reparametrization import Reparametrization

__all__ = [
    "Balance",
    "Episodes",
    "MetaTrainer",
    "Objective",
    "Reparametrization",
    "ValidationEpisodes",
    "estimators",
]
