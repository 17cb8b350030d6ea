"""A policy's weights as an HDF5 file, with a plain array for each weight."""

import io

import h5py
import keras
import numpy as np

from keras_l2o import backend
from keras_l2o.hub.errors import HubError
from keras_l2o.hub.errors import WeightsError


def pack(policy):
    """The weights of a policy as the bytes of an HDF5 file."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for index, variable in enumerate(policy.weights):
            value = keras.ops.convert_to_numpy(variable)
            if value.dtype.kind not in "fiu":
                raise HubError(
                    f"Weight {variable.path!r} is {value.dtype}, which HDF5 "
                    "does not hold exactly. Make the policy float32."
                )
            if not np.all(np.isfinite(value)):
                raise HubError(
                    f"Weight {variable.path!r} is not finite: an optimizer "
                    "with it would ruin what it trains."
                )
            dataset = file.create_dataset(str(index), data=value)
            dataset.attrs["path"] = variable.path
    return buffer.getvalue()


def unpack(data, policy):
    """Puts weights into a policy, all of them or none.

    Args:
        data: Bytes of an HDF5 file, not trusted.
        policy: A built `Policy`.
    """
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            values = _arrays(file, policy.weights)
    except WeightsError:
        raise
    except Exception as error:  # h5py raises whatever a broken file leads to
        raise WeightsError(f"The weights cannot be read: {error}") from error
    for variable, value in zip(policy.weights, values):
        variable.assign(backend.put(value))


def _arrays(file, variables):
    names = [str(index) for index in range(len(variables))]
    if set(file) != set(names):
        raise WeightsError(
            f"The policy in config.json has {len(names)} weights. The file "
            f"has {len(file)}."
        )
    return [_array(file, *pair) for pair in zip(names, variables)]


def _array(file, name, variable):
    # Links, external storage and virtual arrays lead to other files; chunks
    # may be compressed, to any size, by a filter that HDF5 loads as a plugin.
    link = file.get(name, getlink=True)
    dataset = file[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(dataset, h5py.Dataset) or (
        dataset.external or dataset.is_virtual or dataset.chunks is not None
    ):
        raise WeightsError(f"Weight {name} is no plain array.")
    dtype = keras.backend.standardize_dtype(variable.dtype)
    if dataset.shape != tuple(variable.shape) or str(dataset.dtype) != dtype:
        raise WeightsError(
            f"Weight {name} ({variable.path}) must be {dtype} of shape "
            f"{tuple(variable.shape)}. It is {dataset.dtype} of shape "
            f"{dataset.shape}."
        )
    value = dataset[()]
    if not np.all(np.isfinite(value)):
        raise WeightsError(f"Weight {name} ({variable.path}) is not finite.")
    return value
