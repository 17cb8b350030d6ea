"""What only parts of the package need: extras, and the line that names one."""

import importlib.util

from keras_l2o.errors import UserError

#: What each extra brings, by the names that are imported.
MODULES = {
    "cli": ("platformdirs", "pydantic", "rich", "typer"),
    "cluster": ("dask", "distributed"),
    "datasets": ("tensorflow", "tensorflow_datasets"),
    "evaluation": ("pandas", "scipy", "statsmodels"),
    "hub": ("httpx2", "huggingface_hub", "jinja2"),
    "jax": ("jax",),
    "plots": ("PIL", "matplotlib"),
    "private": ("dp_accounting",),
    "tensorboard": ("tensorboard",),
    "tensorflow": ("tensorflow",),
    "torch": ("torch",),
    "tuner": ("keras_tuner", "scipy", "sklearn", "tensorboard"),
}
BACKENDS = ("tensorflow", "jax", "torch")


class MissingExtra(ImportError, UserError):
    """A part of the package whose extra is not installed."""


def need(extra, what):
    """Raises a `MissingExtra` that names the fix, if an extra is missing.

    Nothing is imported: whatever computes for long asks before it does.

    Args:
        extra: String, one of `MODULES`.
        what: String. What needs it, the subject of a sentence.
    """
    if not all(map(_installed, MODULES[extra])):
        raise MissingExtra(line(extra, what))


def line(extra, what):
    """What is said of a missing extra; see `need`."""
    return f"{what} needs the extra '{extra}': pip install 'keras-l2o[{extra}]'"


def import_keras():
    """Imports Keras, or says which extra brings the backend it is set to."""
    try:
        import keras  # noqa: F401
    except ModuleNotFoundError as error:
        backend = str(error.name).partition(".")[0]
        if backend not in BACKENDS or _installed(backend):
            raise
        found = next((name for name in BACKENDS if _installed(name)), None)
        other = f", or set KERAS_BACKEND={found} before" if found else ""
        raise MissingExtra(
            line(backend, f"Keras's backend {backend!r}") + other
        ) from None


def _installed(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # the module was put out of reach
        return False
