"""Making a policy from a config that came from elsewhere.

Keras's own deserialization imports classes from wherever a config says. Here
every object in the config is checked first. It has to be a policy of
keras_l2o, an optimizer, a schedule or an initializer of Keras, or a class that
the caller allows. Nothing else is imported, looked up or called.
"""

import contextlib
import functools

import keras
import numpy as np

from keras_l2o import backend
from keras_l2o import keras_internals
from keras_l2o.hub import allowed
from keras_l2o.hub.errors import ForeignClass
from keras_l2o.hub.errors import FormatError
from keras_l2o.policies import KerasOptimizer
from keras_l2o.policies import Policy


def policy_from_config(config, custom_objects=None):
    """Builds a policy from `keras.saving.serialize_keras_object`'s dict.

    Args:
        config: Dict, not trusted.
        custom_objects: Dict from names to classes that the config may name
            beside ours.

    Raises:
        ForeignClass: The config names anything but those and the classes
            above.
        FormatError: Its values are not such a class's.
    """
    if not isinstance(config, dict) or not isinstance(
        name := config.get("registered_name"), str
    ):
        raise ForeignClass(allowed.foreign(config))
    found = allowed.check(config, custom_objects)
    cls = found.get(name) or keras.saving.get_registered_object(name)
    if not isinstance(cls, type) or not issubclass(cls, Policy):
        raise ForeignClass(allowed.foreign(config))
    try:
        with keras.saving.custom_object_scope(found):
            policy = cls.from_config(dict(config["config"]))
            if not policy.built:
                with _no_drawing(policy):
                    policy.build(None)
        _try_wrapped(policy)
    except MemoryError:
        raise
    except Exception as error:
        raise FormatError(
            f"config.json does not describe a {cls.__name__}: {error}"
        ) from error
    return policy


@contextlib.contextmanager
def _no_drawing(policy):
    """Makes weights start at zero, because drawing them takes long.

    They are replaced by those of the file anyway. An initializer with other
    arguments than Keras's defaults still draws, which shows whether its
    arguments are valid.
    """
    layers = keras_internals.all_layers(policy)
    for layer in layers:
        stock = all(map(_is_stock, _initializers(layer)))
        layer.add_weight = functools.partial(
            _add_zeros, type(layer).add_weight, layer, stock
        )
    try:
        yield
    finally:
        for layer in layers:
            del layer.add_weight


def _add_zeros(
    add_weight, layer, stock, shape=None, initializer=None, *more, **options
):
    if stock or _is_stock(initializer):
        initializer = _zeros
    return add_weight(layer, shape, initializer, *more, **options)


def _zeros(shape, dtype=None):
    return backend.put(np.zeros(shape, dtype))


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
    """Makes an update with each Keras optimizer in a policy, to see if it can.

    Keras checks few of their arguments before they are used.
    """
    for layer in keras_internals.all_layers(policy):
        if isinstance(layer, KerasOptimizer):
            parameters = [keras.ops.zeros(shape) for shape in ((2, 3), (5,))]
            trial = KerasOptimizer(layer.optimizer, dtype=layer.dtype_policy)
            state = trial.initial_state(parameters)
            updates, _ = trial.update(parameters, parameters, state)
            for update, parameter in zip(updates, parameters):
                if update.shape != parameter.shape:
                    raise ValueError("Its updates have another shape.")
