"""Problems to train and compare optimizers on: models, data and losses."""

from keras_l2o.problems import functions
from keras_l2o.problems import networks
from keras_l2o.problems.breadth import BREADTH
from keras_l2o.problems.catalogue import Entry
from keras_l2o.problems.catalogue import FunctionEntry
from keras_l2o.problems.catalogue import ProblemEntry
from keras_l2o.problems.catalogue import get
from keras_l2o.problems.catalogue import get_all
from keras_l2o.problems.catalogue import names
from keras_l2o.problems.catalogue import register
from keras_l2o.problems.datasets import Dataset
from keras_l2o.problems.datasets import DatasetError
from keras_l2o.problems.datasets import load as load_dataset
from keras_l2o.problems.problem import Problem
from keras_l2o.problems.residual import resnet
from keras_l2o.problems.searched import nas

__all__ = [
    "BREADTH",
    "Dataset",
    "DatasetError",
    "Entry",
    "FunctionEntry",
    "Problem",
    "ProblemEntry",
    "functions",
    "get",
    "get_all",
    "load_dataset",
    "names",
    "nas",
    "networks",
    "register",
    "resnet",
]
