"""What may be evaluated, in one form: a name and a way to make it anew."""

import functools
import hashlib
import json
import os
import pathlib
from typing import Any
from typing import NamedTuple

import keras

from keras_l2o import hub
from keras_l2o.evaluation import rules
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.policies import Policy
from keras_l2o.policies import former

#: Options of a `LearnedOptimizer` that came later, and values that do as
#: before: evaluations that were stored without them go on. A run without a
#: bad gradient is the same with both values of the first.
_LATER = {"skip_nonfinite": (True, False), "weight_decay_rate": (1e-3,)}


class Contender(NamedTuple):
    """An optimizer that each run gets a fresh copy of.

    Attributes:
        name: String.
        make: Function without arguments that returns a new
            `keras.optimizers.Optimizer`.
        rule: Name of the analytic rule that it runs, or `None`.
        rate: Float. The rule's rate, or `None`.
    """

    name: str
    make: Any
    rule: str | None = None
    rate: float | None = None

    def digest(self):
        """SHA-256 of the optimizer's configuration, its weights included."""
        config = without_names(keras.optimizers.serialize(self.make()))
        # Evaluations that were stored when arguments had other names go on.
        config = former.to_former(config)
        for key, values in _LATER.items():
            if config["config"].get(key) in values:
                del config["config"][key]
        text = json.dumps(config, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def at(self, learning_rate):
        """The same optimizer with another `learning_rate`, by another name.

        That of a learned optimizer, or of a rule, multiplies its update.
        """

        def make():
            optimizer = self.make()
            config = {
                **optimizer.get_config(), "learning_rate": learning_rate
            }  # fmt: skip
            return type(optimizer).from_config(config)

        return Contender(f"{self.name} times {learning_rate:g}", make)


def contender(optimizer, custom_objects=None):
    """Finds out what an optimizer is and how to make copies of it.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, learned or not; a policy; a
            function without arguments that returns an optimizer; or a string:
            a name of the hub, an optimizer's folder, a run directory with an
            optimizer in it, or an analytic rule such as `"adam"`.
        custom_objects: As in `keras_l2o.load`, for what is loaded by name.
    """
    if isinstance(optimizer, Contender):
        return optimizer
    if isinstance(optimizer, keras.optimizers.Optimizer):
        config = optimizer.get_config()
        return Contender(
            optimizer.name, lambda: type(optimizer).from_config(config)
        )
    if isinstance(optimizer, Policy):
        if not optimizer.built:
            optimizer.build(None)
        return Contender(
            optimizer.name, lambda: LearnedOptimizer(optimizer.copy())
        )
    if isinstance(optimizer, (str, os.PathLike)):
        return _by_name(os.fspath(optimizer), custom_objects)
    if callable(optimizer):
        return Contender(
            getattr(optimizer, "__name__", type(optimizer).__name__), optimizer
        )
    raise ValueError(
        "Argument `optimizer` must be an optimizer, a policy, a function that "
        "returns an optimizer, a name of the hub, a folder, or the name of a "
        f"rule. Received: optimizer={optimizer!r}"
    )


def of_rule(rule, rate=None):
    """An analytic rule at a rate.

    Args:
        rule: Name, one of `rules.RULES`.
        rate: Float. Defaults to the rule's in `rules.TRAIN_RATES`, which the
            name then does not say.
    """
    make = functools.partial(rules.rule, rule, rate)
    make()  # an unknown name fails here
    if rate is None:
        return Contender(rule, make, rule, rules.TRAIN_RATES[rule])
    return Contender(f"{rule} {rate:g}", make, rule, float(rate))


def _by_name(name, custom_objects):
    if name in rules.RULES:
        return of_rule(name)
    folder = pathlib.Path(name)
    for candidate in (folder / "optimizer", folder):
        if (candidate / hub.folder.WEIGHTS).is_file():
            load = functools.partial(hub.load, candidate, custom_objects)
            return Contender(name, load)
    if folder.is_dir():
        raise ValueError(
            f"Folder {folder} holds no optimizer: neither it nor its folder "
            f"'optimizer' has a file {hub.folder.WEIGHTS}. A training that "
            "has ended leaves one."
        )
    load = functools.partial(hub.from_hub, name, custom_objects=custom_objects)
    load()  # an unknown name fails here
    return Contender(name, load)


def without_names(config):
    """A configuration without what Keras counts up within a session."""
    if isinstance(config, dict):
        return {
            key: without_names(value)
            for key, value in config.items()
            if key != "name"
        }
    if isinstance(config, (list, tuple)):
        return [without_names(value) for value in config]
    return config
