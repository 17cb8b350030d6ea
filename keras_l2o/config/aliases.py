"""Other names of fields: those of the 2021 code, and of stored runs.

A field is called what the constructor calls its argument. These names are
taken beside them, in an override and in a run's `config.json`, and become the
constructor's before anything else looks at them.
"""

import re

from keras_l2o.config.errors import ConfigurationError
from keras_l2o.policies import former
from keras_l2o.strategies import former as former_strategy

#: By the path of a section, as a regular expression: other names of its
#: fields, and what they stand for.
ALIASES = {
    "training": {
        "loss_reduce": "reduce",
        "il_mode": "mode",
        "objective": "kind",
        "unroll_weight": "step_weights",
    },
    "strategy": former_strategy.ARGUMENTS,
    r"(policy|training/teachers/\d+)(/pool/\d+)*": former.ARGUMENTS,
}


def canonical_path(path):
    """The path of a field, by the fields' own names.

    Args:
        path: String such as `"training/loss_reduce"`.
    """
    place = ""
    for part in path.split("/"):
        place = _join(place, _names(place).get(part, part))
    return place


def canonical(nest, place=""):
    """A nest of dicts and lists, by the fields' own names.

    Args:
        nest: The nest.
        place: String. The path of the section that it is.

    Raises:
        ConfigurationError: A field stands there by both of its names.
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


def _names(place):
    for pattern, names in ALIASES.items():
        if re.fullmatch(pattern, place):
            return names
    return {}


def _join(place, name):
    return f"{place}/{name}" if place else name
