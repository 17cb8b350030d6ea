"""Policies by name, and the rates they are used at as teachers."""

import difflib
import types

from keras_l2o.policies.analytic import SGD
from keras_l2o.policies.analytic import Adam
from keras_l2o.policies.analytic import Momentum
from keras_l2o.policies.analytic import RMSprop
from keras_l2o.policies.choice import Choice
from keras_l2o.policies.feature_mlp import FeatureMLP
from keras_l2o.policies.learned_rate import AdamLR
from keras_l2o.policies.learned_rate import RMSPropLR
from keras_l2o.policies.lstm import LSTM
from keras_l2o.policies.random_choice import RandomChoice
from keras_l2o.policies.rectified_adam import RectifiedAdam
from keras_l2o.policies.rnnprop import RNNProp
from keras_l2o.policies.rnnprop import RNNPropExtended
from keras_l2o.policies.scale import Scale
from keras_l2o.policies.signs import AdaptiveAddSign
from keras_l2o.policies.signs import AdaptivePowerSign
from keras_l2o.policies.signs import AddSign
from keras_l2o.policies.signs import PowerSign

#: Learning rates of the rules as teachers by themselves, as published for the
#: convolutional network on MNIST. On another problem, search again.
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


#: Each name's class, and what makes arguments that differ from the class's.
_CATALOGUE = {
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
}


def names():
    """The names that `get` knows."""
    return list(_CATALOGUE)


def get(name, **arguments):
    """Makes a policy from its name in the catalogue.

    Args:
        name: String, one of `names()`.
        **arguments: Arguments of the policy's constructor, instead of its
            defaults.

    Returns:
        A `Policy`.

    Example:

    >>> import keras_l2o
    >>> policy = keras_l2o.policies.get("less_choice", hardness=10.0)
    """
    if name not in _CATALOGUE:
        near = difflib.get_close_matches(str(name), _CATALOGUE, 3, 0.5)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(
            f"Argument `name` must be the name of a policy. {hint}"
            f"Known: {', '.join(_CATALOGUE)}. Received: name={name!r}"
        )
    cls, makers = _CATALOGUE[name]
    defaults = {key: make() for key, make in makers.items()}
    # A policy's config holds its arguments, each by its name.
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
