"""The files of a run's checkpoints, each with a digest that identifies it."""

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
        folder: Path of the folder of checkpoints.
        trainer: A built `keras.Model`.
        name: String, the file's name without its suffix.

    Returns:
        String, the SHA-256 of the file.

    Raises:
        RunError: The file cannot be written.
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
        digest: String, what `save` returned, or `""` if it is not known.
            Defaults to `""`.

    Raises:
        RunError: The file is missing, has another digest, or does not hold
            weights of this trainer.
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
    """Deletes the checkpoints of these names, if they are there."""
    for name in names:
        path = folder / f"{name}{SUFFIX}"
        with named(path, "deleted"):
            path.unlink(missing_ok=True)


def _reserve(path, trainer):
    """Fails where the disk has no room, before HDF5 would.

    When HDF5 cannot write a file, it cannot close it either, and then crashes
    the process when that ends.
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
