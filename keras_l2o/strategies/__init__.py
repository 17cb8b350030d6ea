"""Plans of a distillation, and the run directories they keep."""

from typing import Any

from keras_l2o.registry import Registry
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
    "register",
]

STRATEGIES = Registry(
    "strategy",
    {"simple": Simple, "repeat": Repeat, "curriculum": Curriculum},
)


def names() -> list[str]:
    """The names of the strategies that `get` can make.

    Returns:
        Sorted list of strings.

    Example:

    >>> keras_l2o.strategies.names()
    ['curriculum', 'repeat', 'simple']
    """
    return sorted(STRATEGIES)


def register(name: str, cls: type) -> None:
    """Lets configurations name a strategy of your own.

    Args:
        name: String.
        cls: Subclass of `Strategy`.

    Raises:
        ValueError: There is another strategy of this name.

    Example:

    >>> class Mine(keras_l2o.strategies.Simple):
    ...     pass
    >>> keras_l2o.strategies.register("mine", Mine)
    >>> "mine" in keras_l2o.strategies.names()
    True
    """
    STRATEGIES.register(name, cls)


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
    return STRATEGIES.find(name)(**arguments)
