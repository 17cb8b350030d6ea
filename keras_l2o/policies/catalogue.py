"""Policies by name, and the learning rates they have as teachers."""

import difflib
import types
from collections.abc import Callable
from typing import Any

from keras_l2o.policies.analytic import SGD
from keras_l2o.policies.analytic import Adam
from keras_l2o.policies.analytic import Momentum
from keras_l2o.policies.analytic import RMSprop
from keras_l2o.policies.choice import Choice
from keras_l2o.policies.cosine import Cosine
from keras_l2o.policies.feature_mlp import FeatureMLP
from keras_l2o.policies.general import General
from keras_l2o.policies.keras_optimizer import KerasOptimizer
from keras_l2o.policies.learned_rate import AdamLR
from keras_l2o.policies.learned_rate import RMSPropLR
from keras_l2o.policies.lstm import LSTM
from keras_l2o.policies.policy import Policy
from keras_l2o.policies.random_choice import RandomChoice
from keras_l2o.policies.rectified_adam import RectifiedAdam
from keras_l2o.policies.rnnprop import RNNProp
from keras_l2o.policies.rnnprop import RNNPropExtended
from keras_l2o.policies.scale import Scale
from keras_l2o.policies.signs import AdaptiveAddSign
from keras_l2o.policies.signs import AdaptivePowerSign
from keras_l2o.policies.signs import AddSign
from keras_l2o.policies.signs import PowerSign
from keras_l2o.registry import Registry

#: Learning rates of analytic rules as teachers, by name: those that the paper
#: on Optimizer Amalgamation found for a convolutional network on MNIST.
#: Another problem needs other rates.
TEACHER_RATES = types.MappingProxyType(
    {
        "sgd": 0.2,
        "momentum": 0.5,
        "adam": 0.005,
        "rmsprop": 0.005,
        "powersign": 0.1,
        "addsign": 0.1,
    }
)


def _small_pool():
    return [
        RMSprop(0.005, rho=0.9, name="rmsprop"),
        Adam(0.02, name="adam"),
    ]


def _small_pool_with_sgd():
    return [SGD(0.2, name="sgd"), Adam(0.02, name="adam")]


def _large_pool():
    return [
        SGD(2.0, name="sgd"),
        Momentum(2.0, name="momentum"),
        *_small_pool(),
        PowerSign(1.0, name="powersign"),
        AddSign(1.0, name="addsign"),
    ]


#: For each name the class, and functions that make those arguments which are
#: not the class's defaults.
CATALOGUE = Registry(
    "policy",
    {
        "sgd": (SGD, {}),
        "momentum": (Momentum, {}),
        "rmsprop": (RMSprop, {}),
        "adam": (Adam, {}),
        "radam": (RectifiedAdam, {}),
        "powersign": (PowerSign, {}),
        "addsign": (AddSign, {}),
        "adaptive_powersign": (AdaptivePowerSign, {}),
        "adaptive_addsign": (AdaptiveAddSign, {}),
        "lstm": (LSTM, {}),
        "rnnprop": (RNNProp, {}),
        "rnnprop_extended": (RNNPropExtended, {}),
        "adamlr": (AdamLR, {}),
        "rmsproplr": (RMSPropLR, {}),
        "scale_basic": (Scale, {"units": lambda: (20,)}),
        "scale_hierarchical": (Scale, {}),
        "less_choice": (Choice, {"pool": _small_pool}),
        "less_choice_sgd": (Choice, {"pool": _small_pool_with_sgd}),
        "more_choice": (Choice, {"pool": _large_pool}),
        "random_choice": (RandomChoice, {"pool": _large_pool}),
        "feature_mlp": (FeatureMLP, {}),
        "general": (General, {}),
        "cosine": (Cosine, {"rule": lambda: Adam(0.01)}),
        "keras": (KerasOptimizer, {"optimizer": lambda: "adam"}),
    },
)


def register(name: str, cls: type, **defaults: Callable[[], Any]) -> None:
    """Lets `get`, configurations and the command line name your own policy.

    Args:
        name: String.
        cls: Subclass of `Policy`.
        **defaults: For arguments that are not to have the class's defaults,
            functions without arguments that make them.

    Raises:
        ValueError: There is another policy of this name.

    Example:

    >>> class Mine(keras_l2o.policies.SGD):
    ...     pass
    >>> keras_l2o.policies.register("mine", Mine, learning_rate=lambda: 0.5)
    >>> keras_l2o.policies.get("mine").get_config()["learning_rate"]
    0.5
    """
    CATALOGUE.register(name, (cls, defaults))


def names() -> list[str]:
    """The names of all policies that `get` can make.

    Returns:
        List of strings.

    Example:

    >>> keras_l2o.policies.names()[:4]
    ['sgd', 'momentum', 'rmsprop', 'adam']
    """
    return list(CATALOGUE)


def get(name: str, **arguments: Any) -> Policy:
    """Makes a policy from its name in the catalogue.

    Args:
        name: String, one of `names()`.
        **arguments: Arguments of the policy's constructor, which replace the
            defaults.

    Returns:
        A `Policy`.

    Raises:
        ValueError: There is no policy of this name, or it does not have such
            an argument.

    Example:

    >>> policy = keras_l2o.policies.get("less_choice", hardness=10.0)
    >>> policy.pool_names
    ['rmsprop', 'adam']
    """
    cls, makers = CATALOGUE.find(name)
    defaults = {key: make() for key, make in makers.items()}
    # The keys of a policy's config are the names of its arguments.
    known = [*cls(**defaults).get_config()]
    for key in arguments:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0.5)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise ValueError(
                f"Policy {name!r} has no argument {key!r}. {hint}"
                f"It has: {', '.join(known)}."
            )
    return cls(**{**defaults, **arguments})
