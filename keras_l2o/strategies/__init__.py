"""Plans of a distillation, and the run directories they keep."""

import difflib

from keras_l2o.strategies.curriculum import Curriculum
from keras_l2o.strategies.errors import RunError
from keras_l2o.strategies.repeat import Repeat
from keras_l2o.strategies.rows import Row
from keras_l2o.strategies.run_directory import RunDirectory
from keras_l2o.strategies.schedules import Schedule
from keras_l2o.strategies.simple import Simple
from keras_l2o.strategies.strategy import Strategy
from keras_l2o.training.periods import Period

__all__ = [
    "Curriculum",
    "Period",
    "Repeat",
    "Row",
    "RunDirectory",
    "RunError",
    "Schedule",
    "Simple",
    "Strategy",
    "get",
    "names",
]

_STRATEGIES = {"simple": Simple, "repeat": Repeat, "curriculum": Curriculum}


def names():
    """Names of the strategies that `get` knows."""
    return sorted(_STRATEGIES)


def get(name, **arguments):
    """A strategy by name.

    Args:
        name: String, one of `names()`.
        **arguments: Of the strategy.
    """
    if name not in _STRATEGIES:
        near = difflib.get_close_matches(str(name), _STRATEGIES, n=1)
        raise ValueError(
            f"Unknown strategy {name!r}. "
            + (f"Did you mean {near[0]!r}? " if near else "")
            + f"Known: {', '.join(names())}"
        )
    return _STRATEGIES[name](**arguments)
