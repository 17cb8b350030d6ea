"""The checkpoints of a run, each known by its digest."""

import hashlib
import os

import h5py

from keras_l2o.files import whole
from keras_l2o.strategies.errors import RunError
from keras_l2o.strategies.errors import named

SUFFIX = ".weights.h5"
#: Names that a run gives to its periods, and so to checkpoints and logs.
PLACE = r"[0-9]+-[0-9]+-[0-9]+"
PATTERN = PLACE + r"\.weights\.h5"

WAY_OUT = "Put back the one that the run has written, or take a new directory."


def save(folder, trainer, name):
    """Writes the weights of a trainer.

    Args:
        folder: Path.
        trainer: A built `keras.Model`.
        name: String.

    Returns:
        The SHA-256 of the file.
    """
    path = folder / f"{name}{SUFFIX}"
    temporary = whole.scratch(path)
    with named(path, "written"):
        try:
            _reserve(temporary, trainer)
            trainer.save_weights(temporary)
            with open(temporary, "rb+") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                whole.flush(file)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return digest


def load(folder, trainer, name, digest=""):
    """Puts the weights of a checkpoint into a trainer.

    Args:
        folder, trainer, name: As in `save`.
        digest: String, what `save` returned; empty for one that is not known.
    """
    path = folder / f"{name}{SUFFIX}"
    if not path.is_file():
        raise RunError(f"{path} is missing. {WAY_OUT}")
    with named(path, "read"), open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if digest and found != digest:
        raise RunError(
            f"{path} is not the checkpoint that the run has written: its "
            f"SHA-256 is not the one in summary.csv. {WAY_OUT}"
        )
    try:
        with h5py.File(path) as file:
            # The first version's replicates were another kind of model.
            if "template" in file:
                trainer.load_first_version(file["vars"])
                return
        trainer.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(
            f"{path} holds no weights of this run: {error!s:.200} {WAY_OUT}"
        ) from error


def discard(folder, names):
    """Deletes checkpoints, if they are there."""
    for name in names:
        path = folder / f"{name}{SUFFIX}"
        with named(path, "deleted"):
            path.unlink(missing_ok=True)


def _reserve(path, trainer):
    """Fails where there is no room, before HDF5 does.

    HDF5 that cannot write cannot close its file either, and crashes the
    process when that ends.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    optimizer = getattr(trainer, "optimizer", None)
    variables = [*trainer.variables, *getattr(optimizer, "variables", ())]
    # What HDF5 writes beside an array is below 4 KiB.
    size = sum(_bytes(variable) + 4096 for variable in variables)
    with open(path, "xb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    path.unlink()


def _bytes(variable):
    count = 1
    for length in variable.shape:
        count *= length
    return 8 * count
