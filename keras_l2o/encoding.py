"""Arrays in a config."""

import base64

import numpy as np


def encode(array):
    """An array as a dict that JSON can hold.

    The config has the policy's weights in it, because with other weights it
    would describe another optimizer.
    """
    array = np.asarray(array)
    array = array.astype(array.dtype.newbyteorder("<"))
    return {
        "shape": list(array.shape),
        "dtype": array.dtype.str,
        "base64": base64.b64encode(array.tobytes()).decode("ascii"),
    }


def decode(encoded):
    """The array of what `encode` has returned."""
    data = np.frombuffer(
        base64.b64decode(encoded["base64"]), dtype=encoded["dtype"]
    )
    return data.reshape(encoded["shape"])
