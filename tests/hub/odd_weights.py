"""What may stand in the place of a weight in an HDF5 file."""

import h5py
import numpy as np

KINDS = (
    "same", "gone", "more", "group", "soft", "external", "storage", "virtual",
    "chunks", "gzip", "float64", "big", "int", "text", "reference", "compound",
    "null", "nan", "inf", "shape", "scalar", "huge", "named type",
)  # fmt: skip


def put(file, name, value, kind):
    """Puts something in the place of a weight."""
    value = np.asarray(value)
    nan = np.where(np.arange(value.size) == 0, np.nan, 0).astype("float32")
    arrays = {
        "same": value,
        "float64": value.astype("float64"),
        "big": value.astype(">f4"),
        "int": value.astype("int32"),
        "nan": nan.reshape(value.shape),
        "inf": np.full(value.shape, np.inf, "float32"),
        "shape": np.zeros((*value.shape, 2), "float32"),
        "scalar": np.zeros((2, 2, 2, 2), "float32"),
        "compound": np.zeros(value.shape, [("a", "f4")]),
    }
    if kind in arrays:
        file.create_dataset(name, data=arrays[kind])
    elif kind == "more":
        file.create_dataset("99", data=value)
    elif kind == "group":
        file.create_group(name)
    elif kind == "soft":
        file[name] = h5py.SoftLink("/")
    elif kind == "external":
        file[name] = h5py.ExternalLink("/etc/passwd", "/0")
    elif kind == "storage":
        size = max(value.size, 1) * 4
        file.create_dataset(
            name,
            value.shape or (1,),
            "f4",
            external=[("/etc/passwd", 0, size)],
        )
    elif kind == "virtual":
        layout = h5py.VirtualLayout(shape=(2,), dtype="f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "0", shape=(2,))
        file.create_virtual_dataset(name, layout)
    elif kind in ("chunks", "gzip"):
        shape = value.shape or (1,)
        options = {"compression": "gzip"} if kind == "gzip" else {}
        file.create_dataset(
            name, data=value.reshape(shape), chunks=shape, **options
        )
    elif kind == "text":
        file.create_dataset(name, data="weights")
    elif kind == "reference":
        file.create_dataset(name, data=file.ref, dtype=h5py.ref_dtype)
    elif kind == "null":
        file.create_dataset(name, data=h5py.Empty("f4"))
    elif kind == "huge":
        file.create_dataset(name, (2**40,), "f4")
    elif kind == "named type":
        file[name] = np.dtype("f4")
    else:
        assert kind == "gone"
