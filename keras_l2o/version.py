"""This package's version, and those of what it runs on."""

import platform

import keras
import numpy as np

#: The version of keras_l2o.
__version__ = "0.2.0"


def versions():
    """Versions of what a result depends on, for its metadata."""
    return {
        "keras_l2o": __version__,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
