"""What is taken from inside Keras, for want of a public way to it.

Tried with the versions of Keras that `setup.cfg` names; where another one
has moved a name, the error says which.
"""

import contextlib
import random
import threading

import numpy as np
from keras.src.backend.common import global_state
from keras.src.random import seed_generator
from keras.src.utils import rng_utils

_GLOBAL = "GLOBAL_SEED_GENERATOR"


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
    name = getattr(seed_generator, _GLOBAL)
    generator = global_state.get_global_attribute(name)
    own.generator = random.Random(seed)
    global_state.set_global_attribute(name, None)
    try:
        yield
    finally:
        own.generator = before
        global_state.set_global_attribute(name, generator)


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
    names = getattr(seed_generator, _GLOBAL), rng_utils.GLOBAL_RANDOM_SEED
    kept = [global_state.get_global_attribute(name) for name in names]
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        for name, value in zip(names, (None, seed)):
            global_state.set_global_attribute(name, value)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        for name, value in zip(names, kept):
            global_state.set_global_attribute(name, value)


def _install():
    """Puts `_PYTHON_RANDOM` where Keras has Python's `random`, once."""
    found = getattr(seed_generator, "python_random", None)
    if found is _PYTHON_RANDOM:
        return
    if found is not random or not hasattr(seed_generator, _GLOBAL):
        raise ImportError(
            "keras.src.random.seed_generator has no `python_random` and "
            f"`{_GLOBAL}`: this version of Keras draws seeds in another way. "
            "Install the version of Keras that keras_l2o was tried with."
        )
    seed_generator.python_random = _PYTHON_RANDOM
