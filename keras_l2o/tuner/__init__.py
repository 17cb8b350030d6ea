"""Search for the perturbation that makes a distillation stable."""

import importlib.util

import keras

_NEEDED = ["keras_tuner"]
if keras.backend.backend() == "tensorflow":
    # keras-tuner imports it in every trial; without it, each of them fails.
    _NEEDED.append("tensorboard")
for _name in _NEEDED:
    if importlib.util.find_spec(_name) is None:
        raise ImportError(
            f"A search needs {_name}, which is not installed: "
            "pip install 'keras-l2o[tuner]'"
        )

from keras_l2o.tuner.errors import SearchError  # noqa: E402
from keras_l2o.tuner.hypermodel import PerturbationHyperModel  # noqa: E402

__all__ = ["PerturbationHyperModel", "SearchError"]
