"""Meta-training: distils a pool of optimizers into one learned optimizer."""

from keras_l2o.training import estimators
from keras_l2o.training.balance import Balance
from keras_l2o.training.episodes import Episodes
from keras_l2o.training.meta_trainer import MetaTrainer
from keras_l2o.training.objective import Objective
from keras_l2o.training.reparametrization import Reparametrization
from keras_l2o.training.validation_episodes import ValidationEpisodes

__all__ = [
    "Balance",
    "Episodes",
    "MetaTrainer",
    "Objective",
    "Reparametrization",
    "ValidationEpisodes",
    "estimators",
]
