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

#: The paths of policies' sections, a regular expression.
RULE = r"(policy|training/teachers/\d+)(/pool/\d+)*"
#: Present names by former names of fields, by the path of their section, which
#: is a regular expression.
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
    return _changed(nest, place, _renamed)


def _renamed(section, place):
    names, result = _names(place), {}
    for key, value in section.items():
        name = names.get(key, key)
        if name in result:
            raise ConfigurationError(
                f"Field {_join(place, str(name))} is given twice, once as "
                f"{_join(place, key)}: leave one of them out."
            )
        result[name] = value
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
    return _changed(nest, place, _completed)


def _completed(section, place):
    if re.fullmatch(RULE, place) and section.get("directory") is None:
        name = section.get("name")
        if isinstance(name, str) and name in CATALOGUE:
            return {**CATALOGUE[name][0].later, **section}
    return section


def _changed(nest, place, change):
    """A nest whose every dict is what `change` makes of it and its path."""
    if isinstance(nest, list):
        return [
            _changed(entry, _join(place, str(index)), change)
            for index, entry in enumerate(nest)
        ]
    if not isinstance(nest, dict):
        return nest
    return {
        key: _changed(value, _join(place, str(key)), change)
        for key, value in change(nest, place).items()
    }


def _names(place):
    """Dict from former to present names of the fields of a section."""
    for pattern, names in ALIASES.items():
        if re.fullmatch(pattern, place):
            return names
    return {}


def _join(place, name):
    return f"{place}/{name}" if place else name
