"""Arguments of policies by the names that they had before, and those added.

What is stored goes by the names of its time: optimizers' folders, saved models
and runs keep theirs, and the digests of stored evaluations were taken of them.
A policy's attribute `former` says which of its arguments had another name, and
its attribute `later` which came later, and with which values a policy is what
it was without them.
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


def current(cls, config):
    """A policy's config as one of today.

    Args:
        cls: Subclass of `Policy`.
        config: Dict, which may lack arguments that came later.
    """
    return {**cls.later, **renamed(config, cls.former)}


def to_current(config):
    """A nest of serialized policies, as one of today.

    Args:
        config: Nest of `keras.saving.serialize_keras_object`'s dicts.
    """
    return _walked(config, current)


def to_former(config):
    """A nest of serialized policies, as one of before.

    Arguments that came later are left out where they change nothing.
    """
    return _walked(config, _before)


def _before(cls, config):
    former = {new: old for old, new in cls.former.items()}
    return renamed(
        {
            key: value
            for key, value in config.items()
            if key not in cls.later or value != cls.later[key]
        },
        former,
    )


def _walked(value, change):
    if isinstance(value, (list, tuple)):
        return [_walked(entry, change) for entry in value]
    if not isinstance(value, dict):
        return value
    value = {key: _walked(entry, change) for key, entry in value.items()}
    found = _class_of(value)
    if hasattr(found, "later") and isinstance(value.get("config"), dict):
        value["config"] = change(found, value["config"])
    return value


def _class_of(value):
    name = value.get("registered_name")
    return (
        keras.saving.get_registered_object(name)
        if isinstance(name, str)
        else None
    )
