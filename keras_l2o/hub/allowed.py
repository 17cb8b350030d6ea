"""What the config of a policy may name, and how large its numbers may be."""

import functools
import inspect
import math
import re
import reprlib
import sys

import keras

from keras_l2o.hub.errors import ForeignClass
from keras_l2o.hub.errors import FormatError
from keras_l2o.hub.errors import HubError

PACKAGE = "keras_l2o>"

#: The largest sum of the squares of all numbers in a policy's config. A layer
#: of width `w` has some `8 * w**2` weights, so a policy beyond this bound would
#: not fit a weights file. It is refused before any memory is allocated.
LARGEST_SQUARES = 2**21
#: What each policy, and each entry of a list, adds to that sum on top: a long
#: list of narrow layers takes long to build, too.
LEAST_SQUARE = 2**14
#: Arguments whose numbers set no size, however large they are.
SIZELESS = {"seed", "time_scale"}
DEEPEST_NEST = 12

#: The largest integer, and the longest list, in the config of an object of
#: Keras's: some integers say how often something is repeated.
LARGEST_COUNT = 100
#: Their arguments that may be larger, because they are only compared with the
#: step, or are seeds.
STEPS = {
    "boundaries",
    "decay_steps",
    "dynamic_growth_steps",
    "ema_overwrite_frequency",
    "first_decay_steps",
    "gradient_accumulation_steps",
    "initial_scale",
    "seed",
    "warmup_steps",
}

_OBJECT_KEYS = {
    "module",
    "class_name",
    "config",
    "registered_name",
    "build_config",
}
_KERAS = {
    "keras.optimizers": (keras.optimizers, keras.optimizers.Optimizer),
    "keras.optimizers.schedules": (
        keras.optimizers.schedules,
        keras.optimizers.schedules.LearningRateSchedule,
    ),
    "keras.initializers": (keras.initializers, keras.initializers.Initializer),
}

#: Whose argument a value is: of a class of ours, of Keras's, or of the user's.
_OURS, _KERASS, _CUSTOM = range(3)


def check(config, custom_objects=None):
    """Refuses a config that names what it may not, or is too large.

    Nothing is imported or called. Classes are only looked up in the lists of
    keras_l2o's and Keras's, and among those that the caller gives.

    Args:
        config: `keras.saving.serialize_keras_object`'s dict, not trusted.
        custom_objects: Dict of classes and functions by their registered, or
            their own, names.

    Returns:
        Dict from registered names to those of `custom_objects` that the
        config names.
    """
    checker = _Checker(custom_objects or {})
    checker.value(config, "policy", _OURS, 0)
    return checker.found


def at_hand(config):
    """The classes, beside keras_l2o's, that a config of this process names.

    Args:
        config: The dict that `keras.saving.serialize_keras_object` made of an
            object in this process, so it is trusted.

    Returns:
        Dict from registered names to classes or functions.

    Raises:
        HubError: A class in it is not registered.
    """
    found = {}
    for node in _nodes(config):
        name, registered = node.get("class_name"), node.get("registered_name")
        if name == "function":
            registered = node["config"]
        if registered in (None, name) and _in_keras(node):
            found[name] = _in_keras(node)
        elif isinstance(registered, str):
            found[registered] = keras.saving.get_registered_object(registered)
            if found[registered] is None:
                raise HubError(
                    f"{name} is not registered, so it could not be loaded "
                    "again. Put this before its definition: "
                    '@keras.saving.register_keras_serializable(package="mine")'
                )
    return found


def is_ours(node):
    """Whether both names in a dict are those of a class of keras_l2o's.

    Keras looks at `class_name` first, where `__lambda__` means code.
    """
    name = node.get("class_name")
    registered = node.get("registered_name")
    return (
        isinstance(name, str)
        and registered == f"{PACKAGE}{name}"
        and isinstance(keras.saving.get_registered_object(registered), type)
    )


def foreign(value):
    """The message about a value that names what is not allowed."""
    text = (
        "config.json names a class that is not keras_l2o's, so nothing was "
        f"loaded: {reprlib.repr(value)}"
    )
    name, registered = value, value
    if isinstance(value, dict):
        name = value.get("class_name")
        registered = value.get("registered_name") or name
    if _is_name(registered) and _is_name(name):
        if not registered.startswith(PACKAGE):
            name = name.rpartition(">")[2]
            text += (
                ". If it is yours, or you trust it, pass "
                f'custom_objects={{"{registered}": {name}}}.'
            )
    return text


class _Checker:
    """Goes through a config once, and stops at the first fault."""

    def __init__(self, custom_objects):
        self.custom_objects = dict(custom_objects)
        self.found = {}
        self.squares = 0.0

    def value(self, node, name, owner, depth):
        """Checks a value and all in it.

        Args:
            node: The value.
            name: String, the argument that it belongs to.
            owner: Whose argument that is.
            depth: Int, how deep it is nested.
        """
        if depth > DEEPEST_NEST:
            raise FormatError("The policy in config.json is nested too deeply.")
        if isinstance(node, dict):
            self.mapping(node, name, owner, depth)
        elif isinstance(node, list):
            if owner is _KERASS and len(node) > LARGEST_COUNT:
                raise FormatError(
                    f"{name} in config.json has {len(node)} entries. At most "
                    f"{LARGEST_COUNT} are expected."
                )
            if owner is _OURS and name in SIZELESS:
                name = f"an entry of {name}"  # where it may set a size
            for value in node:
                self.count(LEAST_SQUARE if owner is _OURS else 0)
                self.value(value, name, owner, depth + 1)
        elif isinstance(node, str):
            self.text(node, name, owner)
        elif isinstance(node, (int, float)):
            self.number(node, name, owner)
        elif node is not None:
            raise FormatError(
                f"{name} in config.json is a {type(node).__name__}."
            )

    def mapping(self, node, name, owner, depth):
        if {"class_name", "registered_name", "module"} & set(node):
            cls, owner = self.named(node)
            if owner is _OURS:
                self.count(LEAST_SQUARE)
            if not isinstance(node.get("config"), dict):
                return  # a function's name
            if owner is not _CUSTOM:
                _check_booleans(cls, node["config"])
            for key in ("config", "build_config"):
                self.value(node.get(key), key, owner, depth + 1)
            return
        for key, value in node.items():
            self.text(key, name, owner)
            self.value(value, key, owner, depth + 1)

    def number(self, node, name, owner):
        # Python's integers have no bound, and a float's square may be infinite.
        if not abs(node) <= sys.float_info.max:
            raise FormatError(f"{name} in config.json is not finite.")
        if owner is _OURS and name not in SIZELESS:
            self.count(float(node) * float(node))
        largest = 2**63 if name in STEPS else LARGEST_COUNT
        if owner is _KERASS and isinstance(node, int) and abs(node) > largest:
            raise FormatError(
                f"{name} in config.json is {node!r:.20}. At most {largest} is "
                "expected of an integer."
            )

    def text(self, text, name, owner):
        """Refuses a text that Keras would take for something else."""
        try:
            float(text)
        except ValueError:
            pass
        else:
            raise FormatError(
                f"{name} in config.json has a number as a text: {text!r:.40}"
            )
        # Muon takes some texts for regular expressions, and the search for one
        # may never end.
        if owner is _KERASS and re.search(r"[*+({]", text):
            raise FormatError(f"{name} in config.json is no name: {text!r:.40}")
        # Keras looks activations and the like up by name, also among what is
        # registered.
        if keras.saving.get_registered_object(text) is not None:
            raise ForeignClass(foreign(text))

    def count(self, square):
        """Adds to the sum, and refuses the config once it is too large."""
        self.squares += square
        if not self.squares <= LARGEST_SQUARES:
            raise FormatError(
                "The numbers in config.json's policy are too large, or too "
                "many, for any policy: their squares sum to more than "
                f"{LARGEST_SQUARES}."
            )

    def named(self, node):
        """The class or function that a dict names, and who owns it."""
        if set(node) <= _OBJECT_KEYS:
            if isinstance(node.get("config"), dict):
                if is_ours(node):
                    name = node["registered_name"]
                    return keras.saving.get_registered_object(name), _OURS
                if cls := _keras_class(node):
                    return cls, _KERASS
            custom = self.custom(node)
            if custom is not None:
                return custom, _CUSTOM
        raise ForeignClass(foreign(node))

    def custom(self, node):
        """What a dict names among the objects that the caller gave."""
        name, registered = node.get("class_name"), node.get("registered_name")
        if not isinstance(name, str):
            return None
        if name == "function":  # its name is its config
            registered = node.get("config")
            own = isinstance(registered, str) and registered.rpartition(">")[2]
            found = self.given(registered, own)
            if not inspect.isfunction(found):
                return None
        else:
            found = self.given(registered, name)
            if (
                not isinstance(found, type)
                or not isinstance(node.get("config"), dict)
                # Keras has a meaning of its own for names like `__lambda__`.
                or found.__name__ != name
                or name.startswith("__")
            ):
                return None
        if isinstance(registered, str):
            self.found[registered] = found
        elif registered is not None or _in_keras(node) is not found:
            return None
        return found

    def given(self, *names):
        for name in names:
            if isinstance(name, str) and name in self.custom_objects:
                return self.custom_objects[name]
        return None


def _nodes(value):
    """The dicts in a config that name a class or a function."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _nodes(item)
    elif isinstance(value, dict):
        if isinstance(value.get("class_name"), str) and "config" in value:
            yield value
            yield from _nodes([value["config"], value.get("build_config")])
        else:
            yield from _nodes(list(value.values()))


def _keras_class(node):
    """The class of Keras's that a dict names, if it is on the list.

    Only by class and module as Keras itself writes them: a registered name
    would be looked up among the objects of other packages.
    """
    name, module = node.get("class_name"), node.get("module")
    if not isinstance(name, str) or not isinstance(module, str):
        return None
    module, base = _KERAS.get(module, (None, None))
    cls = vars(module).get(name) if module else None
    known = isinstance(cls, type) and issubclass(cls, base)
    known = known and node.get("registered_name") in (None, name)
    return cls if known else None


def _in_keras(node):
    """The class of Keras's that a dict names, on the list or not."""
    module = node.get("module")
    if not isinstance(module, str) or f"{module}.".split(".")[0] != "keras":
        return None
    cls = vars(sys.modules.get(module, object)).get(node["class_name"])
    return cls if isinstance(cls, type) else None


def _check_booleans(cls, config):
    """Refuses `true` where a class has a number; Python takes it for 1."""
    for name, value in config.items():
        values = value if isinstance(value, list) else [value]
        mixed = any(isinstance(value, bool) for value in values)
        if mixed and name in _numbers(cls):
            raise FormatError(
                f"{name} of a {cls.__name__} in config.json must be a number. "
                f"It is {value!r:.40}."
            )


@functools.cache
def _numbers(cls):
    """Names of the arguments of a class that are numbers by default."""
    found = {}
    for base in cls.__mro__:
        if "__init__" in vars(base) and base is not object:
            for name, parameter in inspect.signature(
                base.__init__
            ).parameters.items():
                found.setdefault(name, parameter.default)
    names = {name for name, default in found.items() if _is_number(default)}
    former = getattr(cls, "former", {}).items()
    return names | {old for old, new in former if new in names}


def _is_number(default):
    if isinstance(default, (list, tuple)):
        return bool(default) and all(map(_is_number, default))
    return type(default) in (int, float) and not math.isnan(default)


def _is_name(value):
    return isinstance(value, str) and bool(
        re.fullmatch(r"[A-Za-z_][\w.>-]{0,99}", value)
    )
