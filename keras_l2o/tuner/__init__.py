"""Search for the perturbation that makes a distillation stable."""

from keras_l2o import extras

# On TensorFlow keras-tuner imports TensorBoard in every trial: without it,
# each of them fails.
extras.need("tuner", "A search")

from keras_l2o.tuner.errors import SearchError  # noqa: E402
from keras_l2o.tuner.hypermodel import PerturbationHyperModel  # noqa: E402

__all__ = ["PerturbationHyperModel", "SearchError"]
