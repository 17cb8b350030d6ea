"""Making a policy from a config that came from elsewhere.

Keras's own deserialization looks classes up wherever a config says. Here every
object in the config is checked first: policies of ours by their registered
names, and Keras's optimizers, schedules and initializers by class. Nothing is
imported, looked up or called that is not on this list.
"""

import contextlib
import functools
import reprlib
import sys

import keras
import numpy as np

from keras_l2o.hub.errors import ForeignClass
from keras_l2o.hub.errors import FormatError
from keras_l2o.policies import KerasOptimizer
from keras_l2o.policies import Policy

PACKAGE = "keras_l2o>"

#: Bound of the sum of the squares of a policy's numbers. A layer of width `w`
#: has some `8 * w**2` weights, so what is wider does not fit a weights file;
#: it is refused before its memory is taken.
LARGEST_SQUARES = 2**21
#: What every policy, and every number in a list, counts at least: a list of
#: narrow layers takes long to build, too.
LEAST_SQUARE = 2**14
#: Arguments whose numbers set no size, however large they are.
SIZELESS = {"seed", "time_scale"}
DEEPEST_NEST = 12

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


def policy_from_config(config):
    """Builds a policy from `keras.saving.serialize_keras_object`'s dict.

    Args:
        config: Dict, not trusted.

    Raises:
        ForeignClass: The config names anything but the classes above.
        FormatError: Its values are not such a class's.
    """
    if not isinstance(config, dict) or not _is_ours(config):
        raise ForeignClass(_foreign(config))
    _check_size(config)
    cls = keras.saving.get_registered_object(config["registered_name"])
    if not issubclass(cls, Policy):
        raise ForeignClass(_foreign(config))
    try:
        policy = cls.from_config(dict(config["config"]))
        if not policy.built:
            with _no_drawing(policy):
                policy.build(None)
        _try_wrapped(policy)
    except Exception as error:
        raise FormatError(
            f"config.json does not describe a {cls.__name__}: {error}"
        ) from error
    return policy


@contextlib.contextmanager
def _no_drawing(policy):
    """Weights start at zero: drawing values takes longer than to load them.

    An initializer that is not as Keras makes it by default still draws, which
    shows whether it can.
    """
    layers = [
        layer
        for layer in policy._flatten_layers()
        if all(map(_is_stock, _initializers(layer)))
    ]
    for layer in layers:
        layer.add_weight = functools.partial(
            _add_zeros, type(layer).add_weight, layer
        )
    try:
        yield
    finally:
        for layer in layers:
            del layer.add_weight


def _add_zeros(add_weight, layer, shape=None, initializer=None, **options):
    return add_weight(layer, shape, initializer=_zeros, **options)


def _zeros(shape, dtype=None):
    return np.zeros(shape, dtype)


def _initializers(layer):
    return [
        value
        for name, value in vars(layer).items()
        if name.endswith("_initializer") and value is not None
    ]


def _is_stock(initializer):
    return (
        isinstance(initializer, keras.initializers.Initializer)
        and initializer.get_config() == type(initializer)().get_config()
    )


def _try_wrapped(policy):
    """Makes an update with every optimizer of Keras's in a policy.

    Keras hardly looks at their arguments before they are used.
    """
    for layer in policy._flatten_layers():
        if isinstance(layer, KerasOptimizer):
            parameters = [keras.ops.zeros(shape) for shape in ((2, 3), (5,))]
            trial = KerasOptimizer(layer.optimizer, dtype=layer.dtype_policy)
            state = trial.initial_state(parameters)
            updates, _ = trial.update(parameters, parameters, state)
            for update, parameter in zip(updates, parameters):
                if update.shape != parameter.shape:
                    raise ValueError("Its updates have another shape.")


def _check_size(config):
    """Refuses what is too large, at the first number that makes it so."""
    squares = 0
    for square in _check(config):
        squares += square
        if not squares <= LARGEST_SQUARES:
            raise FormatError(
                "The numbers in config.json's policy are too large, or too "
                "many, for any policy: their squares sum to more than "
                f"{LARGEST_SQUARES}."
            )


def _check(node, depth=0, ours=True):
    """Refuses what is no plain JSON value or no object of the list above.

    Args:
        node: The value.
        depth: Int, how deep it is nested.
        ours: Bool, whether it belongs to a policy of ours, whose numbers are
            widths, and not to an object of Keras's.

    Yields:
        The squares of the policies' numbers, and what lists and policies
        count.
    """
    if depth > DEEPEST_NEST:
        raise FormatError("The policy in config.json is nested too deeply.")
    if isinstance(node, dict):
        if {"class_name", "registered_name", "module"} & set(node):
            ours = _check_object(node)
            if ours:
                yield LEAST_SQUARE
            node = {key: node.get(key) for key in ("config", "build_config")}
        for key, value in node.items():
            yield from _check(key, depth + 1, ours)
            sized = key not in SIZELESS or isinstance(value, (dict, list))
            yield from _check(value, depth + 1, ours and sized)
    elif isinstance(node, list):
        for value in node:
            if ours:
                yield LEAST_SQUARE
            yield from _check(value, depth + 1, ours)
    elif isinstance(node, str):
        _check_text(node)
    elif isinstance(node, (int, float)):
        # Python's integers have no bound, and a float's square may be infinite.
        if not abs(node) <= sys.float_info.max:
            raise FormatError("A number in config.json is not finite.")
        if ours:
            yield float(node) * float(node)
    elif node is not None:
        raise FormatError(f"config.json holds a {type(node).__name__}.")


def _check_text(text):
    """Refuses a text that would be taken for a number, or for a class."""
    try:
        float(text)
    except ValueError:
        pass
    else:
        raise FormatError(f"config.json has a number as a text: {text!r:.40}")
    # Keras finds activations and the like by name, registered ones too.
    if keras.saving.get_registered_object(text) is not None:
        raise ForeignClass(_foreign(text))


def _check_object(node):
    """Refuses an object that is not on the list; says whether it is ours."""
    ours = _is_ours(node)
    known = ours
    if not ours and isinstance(node.get("module"), str):
        # Only class and module as Keras itself writes them; a registered
        # name would be looked up among the objects of other packages.
        name = node.get("class_name")
        module, base = _KERAS.get(node["module"], (None, None))
        cls = vars(module).get(name) if module and _is_text(name) else None
        known = isinstance(cls, type) and issubclass(cls, base)
        known = known and node.get("registered_name") in (None, name)
    if (
        not known
        or not set(node) <= _OBJECT_KEYS
        or not isinstance(node.get("config"), dict)
    ):
        raise ForeignClass(_foreign(node))
    return ours


def _is_ours(node):
    """Whether a dict names a class of ours, in both of its names.

    Keras looks at `class_name` first, where `__lambda__` means code.
    """
    name = node.get("class_name")
    registered = node.get("registered_name")
    return (
        _is_text(name)
        and registered == f"{PACKAGE}{name}"
        and isinstance(keras.saving.get_registered_object(registered), type)
    )


def _is_text(value):
    return isinstance(value, str)


def _foreign(value):
    return (
        "config.json names a class that is not keras_l2o's, so nothing was "
        f"loaded: {reprlib.repr(value)}"
    )
