"""Arguments of policies by the names that they had before.

What is stored goes by the names of its time: optimizers' folders, saved models
and runs keep theirs, and the digests of stored evaluations were taken of them.
A policy's attribute `former` says which of its arguments had another name.
"""

import types

import keras

#: Every former name, and what it became.
ARGUMENTS = types.MappingProxyType(
    {"layers": "units", "alpha": "learning_rate"}
)


def renamed(config, names):
    """A dict with other keys, in the same order.

    Args:
        config: Dict.
        names: Mapping from its keys to others; what is not in it stays.
    """
    return {names.get(key, key): value for key, value in config.items()}


def to_current(config):
    """A nest of serialized policies, by the names of today.

    Args:
        config: Nest of `keras.saving.serialize_keras_object`'s dicts.
    """
    return _walked(config, dict)


def to_former(config):
    """A nest of serialized policies, by the names of before."""
    return _walked(
        config, lambda former: {new: old for old, new in former.items()}
    )


def _walked(value, names):
    if isinstance(value, (list, tuple)):
        return [_walked(entry, names) for entry in value]
    if not isinstance(value, dict):
        return value
    value = {key: _walked(entry, names) for key, entry in value.items()}
    former = getattr(_class_of(value), "former", None)
    if former and isinstance(value.get("config"), dict):
        value["config"] = renamed(value["config"], names(former))
    return value


def _class_of(value):
    name = value.get("registered_name")
    return (
        keras.saving.get_registered_object(name)
        if isinstance(name, str)
        else None
    )
