"""Plans of a distillation, and the run directories they keep."""

import difflib
from typing import Any

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


def names() -> list[str]:
    """The names of the strategies that `get` can make.

    Returns:
        Sorted list of strings.

    Example:

    >>> keras_l2o.strategies.names()
    ['curriculum', 'repeat', 'simple']
    """
    return sorted(_STRATEGIES)


def get(name: str, **arguments: Any) -> Strategy:
    """Makes a strategy from its name in configurations.

    Args:
        name: String, one of `names()`.
        **arguments: The arguments of the strategy's constructor.

    Returns:
        A `Strategy`.

    Raises:
        ValueError: There is no strategy of this name.

    Example:

    >>> keras_l2o.strategies.get("simple", num_periods=3).num_periods
    3
    """
    if name not in _STRATEGIES:
        near = difflib.get_close_matches(str(name), _STRATEGIES, n=1)
        raise ValueError(
            f"Unknown strategy {name!r}. "
            + (f"Did you mean {near[0]!r}? " if near else "")
            + f"Known: {', '.join(names())}"
        )
    return _STRATEGIES[name](**arguments)
