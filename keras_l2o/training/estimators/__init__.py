"""Ways to estimate the outer gradient: what `MetaTrainer(estimator=)` takes."""

from typing import Any

from keras_l2o.registry import Registry
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
    "register",
]

ESTIMATORS = Registry(
    "estimator",
    {
        "full_unroll": FullUnroll,
        "nres": NRES,
        "pes": PES,
        "truncated_backprop": TruncatedBackprop,
    },
)


def names() -> list[str]:
    """The names of the estimators that `get` can make.

    Returns:
        Sorted list of strings.

    Example:

    >>> keras_l2o.training.estimators.names()
    ['full_unroll', 'nres', 'pes', 'truncated_backprop']
    """
    return sorted(ESTIMATORS)


def register(name: str, cls: type) -> None:
    """Lets configurations name an estimator of your own.

    Args:
        name: String.
        cls: Subclass of `Estimator`.

    Raises:
        ValueError: There is another estimator of this name.

    Example:

    >>> class Mine(keras_l2o.training.estimators.PES):
    ...     pass
    >>> keras_l2o.training.estimators.register("mine", Mine)
    >>> "mine" in keras_l2o.training.estimators.names()
    True
    """
    ESTIMATORS.register(name, cls)


def get(
    estimator: str | Estimator | None = None, **arguments: Any
) -> Estimator:
    """Makes an estimator from its name.

    Args:
        estimator: String, one of `names()`; or an `Estimator`, which is
            returned as it is. Defaults to `None`, for `TruncatedBackprop()`.
        **arguments: The arguments of the estimator's constructor.

    Returns:
        An `Estimator`.

    Raises:
        ValueError: There is no estimator of this name.

    Example:

    >>> keras_l2o.training.estimators.get("pes", pairs=4).get_config()
    {'pairs': 4, 'stddev': 0.01, 'seed': None}
    """
    if isinstance(estimator, Estimator):
        return estimator
    name = "truncated_backprop" if estimator is None else estimator
    return ESTIMATORS.find(name)(**arguments)
