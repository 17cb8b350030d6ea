"""Seeds for what Keras draws, in one thread or for a while."""

import contextlib
import random
import threading

import numpy as np

from keras_l2o import private_names

_global_state = private_names.take_module(
    "keras", "keras.src.backend.common.global_state"
)
_get = private_names.take("keras", _global_state, "get_global_attribute")
_set = private_names.take("keras", _global_state, "set_global_attribute")
_seed_generator = private_names.take_module(
    "keras", "keras.src.random.seed_generator"
)
#: Under these names Keras keeps its global generator, and its seed.
_GENERATOR = private_names.take(
    "keras", _seed_generator, "GLOBAL_SEED_GENERATOR"
)
_SEED = private_names.take(
    "keras",
    private_names.take_module("keras", "keras.src.utils.rng_utils"),
    "GLOBAL_RANDOM_SEED",
)


class _PythonRandom:
    """Stands for Python's module `random` where Keras draws its seeds.

    In a thread within `seeded` it is that thread's own generator, everywhere
    else the module, as ever.
    """

    def __init__(self):
        self.own = threading.local()

    def __getattr__(self, name):
        return getattr(getattr(self.own, "generator", random), name)


_PYTHON_RANDOM = _PythonRandom()


@contextlib.contextmanager
def seeded(seed):
    """Seeds what Keras draws in this thread, and nothing else.

    Initializers and `keras.random` give what they give after
    `keras.utils.set_random_seed(seed)`. Python's, NumPy's and the backend's
    global generators are neither read nor changed, so that other threads,
    and the caller afterwards, draw what they would have drawn. Keras takes
    the seed of an initializer from Python's global generator: seeding that
    one, and putting it back, is seen by all other threads.

    Args:
        seed: Int.
    """
    _install()
    own = _PYTHON_RANDOM.own
    before = getattr(own, "generator", random)
    generator = _get(_GENERATOR)
    own.generator = random.Random(seed)
    _set(_GENERATOR, None)
    try:
        yield
    finally:
        own.generator = before
        _set(_GENERATOR, generator)


@contextlib.contextmanager
def globally_seeded(seed):
    """Seeds Python's, NumPy's and Keras's global generators for a while.

    As `keras.utils.set_random_seed`, for code of others, which may draw from
    any of them; afterwards they go on where they were. Other threads see it:
    for the caller's own thread. TensorFlow's and torch's generators are left
    alone, for want of a way to put them back.

    Args:
        seed: Int.
    """
    names = _GENERATOR, _SEED
    kept = [_get(name) for name in names]
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        for name, value in zip(names, (None, seed)):
            _set(name, value)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        for name, value in zip(names, kept):
            _set(name, value)


def _install():
    """Puts `_PYTHON_RANDOM` where Keras has Python's `random`, once."""
    name = "python_random"
    found = private_names.take("keras", _seed_generator, name)
    if found is _PYTHON_RANDOM:
        return
    if found is not random:
        raise private_names.missing(
            "keras", f"{_seed_generator.__name__}.{name}, Python's `random`"
        )
    setattr(_seed_generator, name, _PYTHON_RANDOM)
