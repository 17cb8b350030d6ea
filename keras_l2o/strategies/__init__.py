"""Plans of a distillation, and the run directories they keep."""

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


def names():
    """Names of the strategies that `get` knows."""
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


def get(name, **arguments):
    """A strategy by name.

    Args:
        name: String, one of `names()`.
        **arguments: Of the strategy.
    """
    return STRATEGIES.find(name)(**arguments)
