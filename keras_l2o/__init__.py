"""Learned optimizers for Keras: distil them, load them by name, use them."""

# ruff: noqa: E402
import importlib

from keras_l2o import extras

# Keras's own error, where its backend is missing, does not say what to do.
extras.import_keras()

from keras_l2o import hub
from keras_l2o import policies
from keras_l2o.hub import available
from keras_l2o.hub import from_hub
from keras_l2o.hub import load
from keras_l2o.hub import publish
from keras_l2o.hub import save
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.version import __version__

#: What using an optimizer does not need is imported when it is first named.
_LATER = {
    "MetaTrainer": "keras_l2o.training",
    "PerturbationHyperModel": "keras_l2o.tuner",
    "callbacks": None,
    "cluster": None,
    "dashboard": None,
    "evaluate": "keras_l2o.evaluation",
    "evaluation": None,
    "perturbations": None,
    "problems": None,
    "strategies": None,
    "training": None,
}

__all__ = [
    "LearnedOptimizer",
    "MetaTrainer",
    "PerturbationHyperModel",
    "__version__",
    "available",
    "callbacks",
    "cluster",
    "dashboard",
    "evaluate",
    "evaluation",
    "from_hub",
    "hub",
    "load",
    "perturbations",
    "policies",
    "problems",
    "publish",
    "save",
    "strategies",
    "training",
]


def __getattr__(name):
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _LATER[name] is None:
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(importlib.import_module(_LATER[name]), name)


def __dir__():
    return sorted({*globals(), *__all__})
