"""An optimizer in a folder: written whole, read only if it is intact."""

import hashlib
import json
import os
import pathlib

from keras_l2o.files.lock import Locked
from keras_l2o.hub import formats
from keras_l2o.hub import replacing
from keras_l2o.hub import weights
from keras_l2o.hub.errors import DigestError
from keras_l2o.hub.errors import FormatError
from keras_l2o.hub.errors import HubError
from keras_l2o.hub.errors import MissingFile
from keras_l2o.hub.errors import TooLarge
from keras_l2o.hub.revive import policy_from_config
from keras_l2o.learned_optimizer import LearnedOptimizer

DIGESTS = "SHA256SUMS"
CONFIG = formats.CONFIG
METADATA = "metadata.json"
WEIGHTS = "policy.weights.h5"

#: Most bytes of each file: what is larger is not read.
LIMITS = {
    CONFIG: 2**20,
    METADATA: 2**20,
    WEIGHTS: 2**26,
    DIGESTS: 2**12,
}


def save(optimizer, folder, metadata=None, overwrite=False):
    """Writes a learned optimizer to a folder that `load` reads.

    The folder holds `config.json` (the policy and how to use it),
    `policy.weights.h5`, `metadata.json` (how it was made) and `SHA256SUMS`.
    It appears whole or not at all. Clipping, weight decay and the like belong
    to one training and are not kept: pass them to `load`.

    Args:
        optimizer: A `LearnedOptimizer` whose learning rate is a number.
        folder: Path.
        metadata: Dict that JSON can hold, or `None`. `figures` in it are what
            `available` lists.
        overwrite: Bool. Whether an optimizer's folder that exists is replaced.
            Any other folder that is not empty never is. Defaults to `False`.

    Raises:
        HubError: The folder exists, or something could not be written in the
            format. The folder is as it was.
    """
    if not isinstance(optimizer, LearnedOptimizer):
        raise HubError(
            "Argument `optimizer` must be a `LearnedOptimizer`. Received: "
            f"optimizer of type {type(optimizer)}"
        )
    if not isinstance(metadata, (dict, type(None))):
        raise HubError(
            "Argument `metadata` must be a dict or `None`. Received: "
            f"metadata={metadata!r}"
        )
    folder = pathlib.Path(os.path.abspath(folder))
    _check_target(folder, overwrite)
    contents = {
        CONFIG: _json(_usage(optimizer)),
        METADATA: _json(metadata or {}),
        WEIGHTS: weights.pack(optimizer.policy),
    }
    for name, data in contents.items():
        if len(data) > LIMITS[name]:
            raise TooLarge(
                f"{name} would have {len(data)} bytes. At most "
                f"{LIMITS[name]} are read back."
            )
    _policy_and_usage(
        contents
    )  # what could not be loaded is not written either
    contents[DIGESTS] = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        for name, data in contents.items()
    ).encode()
    _write(folder, contents, overwrite)


def load(folder, **overrides):
    """Reads a learned optimizer from a folder.

    Args:
        folder: Path of a folder that `save` wrote.
        **overrides: Arguments of `LearnedOptimizer`, instead of or beside
            those that the folder names.

    Returns:
        A `LearnedOptimizer`, whose `source` is the folder's name and digest.

    Raises:
        HubError: A file is missing, too large, not what its digest says, or
            not of this format. Nothing is loaded then.
    """
    folder = pathlib.Path(folder)
    contents = read(folder)
    name = folder.absolute().name
    return revive(contents, f"{name}@sha256:{digest(contents)}", overrides)


def revive(contents, source, overrides):
    """Makes the optimizer of a folder's contents.

    Args:
        contents: What `read` returns.
        source: String that says where they came from.
        overrides: Dict, as the keyword arguments of `load`.
    """
    policy, usage = _policy_and_usage(contents)
    arguments = {**usage, "source": source, **overrides}
    return LearnedOptimizer(policy, **arguments)


def digest(contents):
    """Digest of a folder: that of its `SHA256SUMS`."""
    return hashlib.sha256(contents[DIGESTS]).hexdigest()


def parse_metadata(contents):
    """The metadata among a folder's contents, a dict."""
    return parse(contents[METADATA], METADATA)


def read_metadata(folder):
    """The metadata of a folder, its digest checked."""
    return parse_metadata(read(folder))


def _check_target(folder, overwrite):
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise HubError(f"{folder} exists and is no folder.")
    try:
        found = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise HubError(
            f"Folder {folder} cannot be read: {error.strerror}. Allow it, or "
            "save to another place."
        ) from error
    if not found:
        return
    if not overwrite:
        raise HubError(
            f"Folder {folder} is not empty. Pass `overwrite=True` to replace "
            "the optimizer in it."
        )
    if not found <= set(LIMITS):
        raise HubError(
            f"Folder {folder} holds more than an optimizer, such as "
            f"{min(found - set(LIMITS))!r}: it is not replaced."
        )


def _write(folder, contents, overwrite):
    try:
        replacing.write(
            folder, contents, lambda: _check_target(folder, overwrite)
        )
    except Locked as error:
        raise HubError(str(error)) from error
    except OSError as error:
        raise HubError(
            f"Folder {folder} cannot be written: {error.strerror or error}. "
            "Make room for it, allow it, or save to another place."
        ) from error


def _usage(optimizer):
    config = optimizer.get_config()
    if not isinstance(config["learning_rate"], float):
        raise HubError(
            "The learning rate of a saved optimizer must be a number: a "
            "schedule belongs to one training. Pass it when loading."
        )
    return formats.write(config)


def _json(value):
    try:
        return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise HubError(f"JSON cannot hold this: {error}") from error


def _policy_and_usage(contents):
    """The policy with its weights, and the other arguments of its use."""
    parse(contents[METADATA], METADATA)
    config, usage = formats.read(parse(contents[CONFIG], CONFIG))
    policy = policy_from_config(config)
    weights.unpack(contents[WEIGHTS], policy)
    return policy, usage


def read(folder):
    """Reads a folder's files, each once, and checks their digests.

    Returns:
        A dict of the files' bytes by name.
    """
    folder = pathlib.Path(folder)
    while True:
        before = _identity(folder)
        try:
            return _read(folder)
        except HubError:
            # A save may have taken the folder's place between two files.
            if _identity(folder) == before:
                raise


def is_there(folder):
    """Whether there is a folder, put back if a killed save has moved it."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        mend(folder)
    return folder.is_dir()


def mend(folder):
    """Clears away what killed saves to a folder have left, where it may."""
    try:
        replacing.mend(pathlib.Path(os.path.abspath(folder)), LIMITS)
    except (Locked, OSError):
        pass


def _identity(folder):
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _read(folder):
    if not is_there(folder):
        raise MissingFile(f"There is no folder {folder}.")
    contents = {
        name: read_file(folder / name, limit) for name, limit in LIMITS.items()
    }
    check_digests(contents, f"{folder}{os.sep}")
    return contents


def check_digests(contents, place, fix="Fetch the folder again."):
    """Refuses files that are not those of which the digests were taken.

    Args:
        contents: Dict of bytes by name, with `SHA256SUMS` among them.
        place: String, what the messages put before the files' names.
        fix: String, what the messages tell to do.
    """
    digests = {}
    lines = contents[DIGESTS].decode("ascii", "replace").splitlines()
    for line in lines:
        value, _, name = line.partition("  ")
        digests[name] = value
    files = {name for name in LIMITS if name != DIGESTS}
    if set(digests) != files or len(lines) != len(files):
        raise DigestError(
            f"{place}{DIGESTS} must list {', '.join(sorted(files))}, each once."
        )
    for name in sorted(files & set(contents)):
        if hashlib.sha256(contents[name]).hexdigest() != digests[name]:
            raise DigestError(
                f"{place}{name} is corrupt: its SHA-256 is not the one in "
                f"{DIGESTS}. {fix}"
            )


def read_file(path, limit):
    """Reads a plain file of at most `limit` bytes."""
    # A link may lead anywhere, and a pipe never ends.
    if path.is_symlink() or not path.is_file():
        raise MissingFile(
            f"{path} is missing, or no plain file. An optimizer's folder "
            f"holds {', '.join(sorted(LIMITS))}."
        )
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise TooLarge(
                f"{path} has {size} bytes, so it was not read. At most "
                f"{limit} are expected."
            )
        return file.read(limit)


def parse(data, name):
    """The object in a file of JSON, a dict."""
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{name} must hold an object.")
    return value
