"""A common form for all that can be evaluated: policies, optimizers, names."""

import copy
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import keras

from keras_l2o import hub
from keras_l2o.evaluation import rules
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.policies import Policy
from keras_l2o.policies import former
from keras_l2o.typing import Path

#: Options of `LearnedOptimizer` that earlier versions did not have, and the
#: values for which runs are as they were in these versions. An option with such
#: a value is left out of the digest, so that evaluations stored by earlier
#: versions can be continued. `skip_nonfinite` has both values, since it only
#: matters where a gradient is not finite.
_LATER = {
    "skip_nonfinite": (True, False),
    "lazy_embeddings": (None,),
    "torch_compile": (False, True),
    "total_steps": (None,),
    "epoch_steps": (None,),
    "weight_decay_rate": (1e-3,),
}


class Contender(NamedTuple):
    """An optimizer to evaluate, of which each run gets a new copy.

    Attributes:
        name: String.
        make: Function without arguments that returns a new
            `keras.optimizers.Optimizer`.
        rule: String, the name of the analytic rule that the optimizer runs.
            Defaults to `None`: the optimizer is no analytic rule.
        rate: Float, the rule's learning rate. Defaults to `None`.

    Example:

    >>> from keras_l2o.evaluation import contender
    >>> contender.of_rule("adam", 0.01)[0]
    'adam 0.01'
    """

    name: str
    make: Callable[[], Any]
    rule: str | None = None
    rate: float | None = None

    def digest(self) -> str:
        """SHA-256 of the optimizer's configuration and weights.

        Returns:
            String of 64 hexadecimal digits.
        """
        config = without_names(keras.optimizers.serialize(self.make()))
        # The digest is of what earlier versions would have stored, as far as
        # they could, so that evaluations stored by them can be continued.
        config = former.to_former(config)
        for key, values in _LATER.items():
            if key in config["config"] and config["config"][key] in values:
                del config["config"][key]
        text = json.dumps(config, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def at(self, learning_rate: float) -> "Contender":
        """The same optimizer with another `learning_rate`.

        Args:
            learning_rate: Float. In a learned optimizer, and in an analytic
                rule, it multiplies the update.

        Returns:
            A `Contender`. The learning rate is part of its name.
        """

        def make():
            optimizer = self.make()
            config = {
                **optimizer.get_config(), "learning_rate": learning_rate
            }  # fmt: skip
            return type(optimizer).from_config(config)

        return Contender(f"{self.name} times {learning_rate:g}", make)


def contender(
    optimizer: Contender
    | keras.optimizers.Optimizer
    | Policy
    | Callable[[], keras.optimizers.Optimizer]
    | Path,
    custom_objects: Mapping[str, Any] | None = None,
) -> Contender:
    """Makes a `Contender` of anything that `evaluate` takes.

    Args:
        optimizer: One of
            a `Contender`, which is returned as it is;
            a `keras.optimizers.Optimizer`, learned or not;
            a `keras_l2o.policies.Policy`;
            a function without arguments that returns an optimizer;
            a name that `keras_l2o.from_hub` takes;
            the path of an optimizer's folder, or of a run directory with an
            optimizer in it;
            the name of an analytic rule such as `"adam"`.
        custom_objects: Dict of classes that an optimizer's folder may name,
            as in `keras_l2o.load`. Defaults to `None`.

    Returns:
        A `Contender`.

    Raises:
        ValueError: The argument is none of these, or there is no optimizer in
            the folder.
        HubError: There is no optimizer of this name.

    Example:

    >>> from keras_l2o.evaluation import contender
    >>> contender.contender(keras_l2o.policies.SGD(0.1, name="mine")).name
    'mine'
    """
    if isinstance(optimizer, Contender):
        return optimizer
    if isinstance(optimizer, keras.optimizers.Optimizer):
        config = optimizer.get_config()
        # Some change the dict that they are made from.
        return Contender(
            optimizer.name,
            lambda: type(optimizer).from_config(copy.deepcopy(config)),
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


def of_rule(rule: str, rate: float | None = None) -> Contender:
    """An analytic rule at a rate.

    Args:
        rule: String, one of `rules.RULES`.
        rate: Float. Defaults to `None`, the rule's rate in
            `rules.TRAIN_RATES`.

    Returns:
        A `Contender`. If a rate was given, it is part of the name, such as
        `"adam 0.01"`.

    Raises:
        ValueError: There is no such rule.

    Example:

    >>> from keras_l2o.evaluation import contender
    >>> contender.of_rule("adam").rate
    0.005
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
            f"'optimizer' has a file {hub.folder.WEIGHTS}. A run writes it "
            "after its first period."
        )
    load = functools.partial(hub.from_hub, name, custom_objects=custom_objects)
    load()  # an unknown name fails here
    return Contender(name, load)


def without_names(config: Any) -> Any:
    """A configuration without its fields `name`, at any depth.

    Keras appends numbers to the names of objects, as in `adam_1`, so that equal
    objects have different names.

    Args:
        config: Nest of dicts and lists, as `get_config` returns.

    Returns:
        The nest without these fields, and with lists in place of tuples.

    Example:

    >>> from keras_l2o.evaluation import contender
    >>> contender.without_names({"name": "adam_1", "beta_1": 0.9})
    {'beta_1': 0.9}
    """
    if isinstance(config, dict):
        return {
            key: without_names(value)
            for key, value in config.items()
            if key != "name"
        }
    if isinstance(config, (list, tuple)):
        return [without_names(value) for value in config]
    return config
