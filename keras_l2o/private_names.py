"""Names that another package does not promise to keep.

Each is used in one place: Keras's in `keras_internals`, TensorFlow's and
JAX's in `backend/tensorflow_internals.py` and `backend/jax_internals.py`,
keras-tuner's in `tuner/keras_tuner_internals.py`. Each has a test of what it
means, and the error of this file where a version lacks it.
"""

import importlib
import importlib.metadata
import types
from typing import Any

#: The lowest and the highest version of each that the tests have passed on.
TRIED = {
    "jax": ("0.10.2", "0.10.2"),
    "keras": ("3.15.1", "3.15.1"),
    "keras-tuner": ("1.4.8", "1.4.8"),
    "tensorflow": ("2.21.0", "2.21.0"),
}


def take(package: str, owner: Any, name: str) -> Any:
    """What a module, a class or an object has under a private name.

    Args:
        package: The name under which pip knows the package, one of `TRIED`.
        owner: The module, class or object.
        name: The name of its attribute.

    Raises:
        ImportError: There is nothing under that name. The message says whose
            it is, which version was found and which were tried.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        raise missing(package, f"{_name(owner)}.{name}") from None


def take_module(package: str, name: str) -> types.ModuleType:
    """The module that a package has under a private name.

    Args:
        package: As in `take`.
        name: The whole name, such as `"keras.src.random.seed_generator"`.

    Raises:
        ImportError: As in `take`.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise missing(package, name) from error


def missing(package: str, name: str) -> ImportError:
    """The error for a name that a version of a package lacks.

    Args:
        package: As in `take`.
        name: The whole name, such as `"keras.Variable._layout"`.
    """
    lowest, highest = TRIED[package]
    return ImportError(
        f"{package} {_version(package)} has no `{name}`, which keras_l2o "
        f"uses. keras_l2o was tried with {package} {lowest} to {highest}: "
        f"pip install '{package}>={lowest},<={highest}'"
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of an unknown version"


def _name(owner: Any) -> str:
    if isinstance(owner, types.ModuleType):
        return owner.__name__
    cls = owner if isinstance(owner, type) else type(owner)
    return f"{cls.__module__}.{cls.__qualname__}"
