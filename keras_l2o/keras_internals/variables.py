"""Inside Keras's variables."""

import functools
from typing import Any

import keras

from keras_l2o.private_names import missing
from keras_l2o.private_names import take

_SEED_STATE = "seed_generator_state"


def layout(variable: Any) -> keras.distribution.TensorLayout | None:
    """How a variable is sharded; `None` if nothing says so."""
    if not isinstance(variable, keras.Variable):
        return None
    found = take("keras", variable, "_layout")
    known = isinstance(found, keras.distribution.TensorLayout)
    return found if known else None


def is_seed_state(variable: keras.Variable) -> bool:
    """Whether a variable is the state of a `keras.random.SeedGenerator`."""
    return variable.name == _seed_state_name()


@functools.cache
def _seed_state_name() -> str:
    generator = keras.random.SeedGenerator(0, name="keras_l2o_probe")
    if generator.state.name != _SEED_STATE:
        raise missing(
            "keras", f"{_SEED_STATE}, the name of a SeedGenerator's state"
        )
    return _SEED_STATE
