"""Former names of fields: those of the code of 2021, and of stored runs.

A field has the name of the constructor's argument that it sets. Overrides and a
run's `config.json` may also have its former name, which is replaced by the
present one before anything else reads it. A stored run may also lack fields
that came later: they then are what they were before they could be set.
"""

import re
from typing import Any

from keras_l2o.config.errors import ConfigurationError
from keras_l2o.policies import former
from keras_l2o.policies.catalogue import CATALOGUE
from keras_l2o.strategies import former as former_strategy

#: Present names by former names of fields, by the path of their section, which
#: is a regular expression.
RULE = r"(policy|training/teachers/\d+)(/pool/\d+)*"
ALIASES = {
    "training": {
        "loss_reduce": "reduce",
        "il_mode": "mode",
        "objective": "kind",
        "unroll_weight": "step_weights",
    },
    "strategy": former_strategy.ARGUMENTS,
    RULE: former.ARGUMENTS,
}


def canonical_path(path: str) -> str:
    """Replaces former names in the path of a field.

    Args:
        path: String such as `"training/loss_reduce"`.

    Returns:
        String such as `"training/reduce"`.

    Example:

    >>> from keras_l2o.config import aliases
    >>> aliases.canonical_path("strategy/unroll_len")
    'strategy/unroll'
    """
    place = ""
    for part in path.split("/"):
        place = _join(place, _names(place).get(part, part))
    return place


def canonical(nest: Any, place: str = "") -> Any:
    """Replaces former names in a nest of fields.

    Args:
        nest: Nest of dicts and lists, the configuration or a part of it.
        place: String. The path of this part. Defaults to `""`, the whole
            configuration.

    Returns:
        A new nest.

    Raises:
        ConfigurationError: The nest has a field twice, by its former and its
            present name.

    Example:

    >>> from keras_l2o.config import aliases
    >>> aliases.canonical({"strategy": {"unroll_len": 20}})
    {'strategy': {'unroll': 20}}
    """
    if isinstance(nest, list):
        return [
            canonical(entry, _join(place, str(index)))
            for index, entry in enumerate(nest)
        ]
    if not isinstance(nest, dict):
        return nest
    names, result = _names(place), {}
    for key, value in nest.items():
        name = names.get(key, key)
        here = _join(place, str(name))
        if name in result:
            raise ConfigurationError(
                f"Field {here} is given twice, once as {_join(place, key)}: "
                "leave one of them out."
            )
        result[name] = canonical(value, here)
    return result


def completed(nest: Any, place: str = "") -> Any:
    """Adds arguments of policies that a stored configuration lacks.

    Args:
        nest: Nest of dicts and lists, the configuration or a part of it.
        place: String. The path of this part. Defaults to `""`, the whole
            configuration.

    Returns:
        A new nest.

    Example:

    >>> from keras_l2o.config import aliases
    >>> aliases.completed({"policy": {"name": "lstm"}})
    {'policy': {'odd': False, 'name': 'lstm'}}
    """
    if isinstance(nest, list):
        return [
            completed(entry, _join(place, str(index)))
            for index, entry in enumerate(nest)
        ]
    if not isinstance(nest, dict):
        return nest
    result = {
        key: completed(value, _join(place, str(key)))
        for key, value in nest.items()
    }
    if re.fullmatch(RULE, place) and result.get("directory") is None:
        name = result.get("name")
        if isinstance(name, str) and name in CATALOGUE:
            result = {**CATALOGUE[name][0].later, **result}
    return result


def _names(place):
    """Dict from former to present names of the fields of a section."""
    for pattern, names in ALIASES.items():
        if re.fullmatch(pattern, place):
            return names
    return {}


def _join(place, name):
    return f"{place}/{name}" if place else name
