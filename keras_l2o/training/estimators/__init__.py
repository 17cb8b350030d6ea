"""Ways to estimate the outer gradient: what `MetaTrainer(estimator=)` takes."""

import difflib

from keras_l2o.training.estimators.estimator import Estimator
from keras_l2o.training.estimators.evolution import Evolution
from keras_l2o.training.estimators.full_unroll import FullUnroll
from keras_l2o.training.estimators.nres import NRES
from keras_l2o.training.estimators.pes import PES
from keras_l2o.training.estimators.truncated_backprop import TruncatedBackprop

__all__ = [
    "NRES",
    "PES",
    "Estimator",
    "Evolution",
    "FullUnroll",
    "TruncatedBackprop",
    "get",
    "names",
]

_ESTIMATORS = {
    "full_unroll": FullUnroll,
    "nres": NRES,
    "pes": PES,
    "truncated_backprop": TruncatedBackprop,
}


def names():
    """Names of the estimators that `get` knows."""
    return sorted(_ESTIMATORS)


def get(estimator=None, **arguments):
    """An estimator by name.

    Args:
        estimator: String, one of `names()`; an `Estimator`, which is returned;
            or `None`, the default, for `TruncatedBackprop()`.
        **arguments: Of the estimator's constructor.

    Example:

    >>> keras_l2o.training.estimators.get("pes", pairs=4)
    """
    if isinstance(estimator, Estimator):
        return estimator
    name = "truncated_backprop" if estimator is None else estimator
    if name not in _ESTIMATORS:
        near = difflib.get_close_matches(str(name), _ESTIMATORS, n=1)
        raise ValueError(
            "Argument `estimator` must be an `Estimator` or the name of one. "
            f"Received: estimator={name!r}. "
            + (f"Did you mean {near[0]!r}? " if near else "")
            + f"Known: {', '.join(names())}"
        )
    return _ESTIMATORS[name](**arguments)
