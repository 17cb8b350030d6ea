"""An optimizer in a folder: written as a whole, read only if it is intact."""

import contextlib
import hashlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras

from keras_l2o.files.lock import Locked
from keras_l2o.hub import allowed
from keras_l2o.hub import formats
from keras_l2o.hub import json_files
from keras_l2o.hub import replacing
from keras_l2o.hub import weights
from keras_l2o.hub.errors import DigestError
from keras_l2o.hub.errors import FormatError
from keras_l2o.hub.errors import HubError
from keras_l2o.hub.errors import MissingFile
from keras_l2o.hub.errors import TooLarge
from keras_l2o.hub.revive import policy_from_config
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.learned_optimizer import without_loss_scale
from keras_l2o.typing import Path

DIGESTS = "SHA256SUMS"
CONFIG = formats.CONFIG
METADATA = "metadata.json"
WEIGHTS = "policy.weights.h5"

#: Most bytes of each file. A larger file is not read.
LIMITS = {
    CONFIG: 2**20,
    METADATA: 2**20,
    WEIGHTS: 2**26,
    DIGESTS: 2**12,
}


def save(
    optimizer: keras.optimizers.Optimizer,
    folder: Path,
    metadata: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a learned optimizer to a folder, which `load` reads.

    The folder holds `config.json` (the policy and how to use it),
    `policy.weights.h5`, `metadata.json` (how it was made) and `SHA256SUMS`.
    It is written as a whole: if the process is killed, the folder is as it
    was before. Clipping, weight decay and the like belong to one training and
    are not saved; pass them to `load`. A policy class of your own can be saved
    once it is registered; see `keras_l2o.policies.Policy`.

    Args:
        optimizer: A `LearnedOptimizer` whose learning rate is a number, or a
            `keras.optimizers.LossScaleOptimizer` around one, as
            `model.optimizer` is under `"mixed_float16"`.
        folder: Path.
        metadata: Dict that JSON can hold. `available` lists the figures under
            its key `"figures"`. Defaults to `None`, an empty dict.
        overwrite: Bool. Whether to replace the folder if it holds an
            optimizer. A folder with anything else in it is never replaced.
            Defaults to `False`.

    Raises:
        HubError: The folder is not empty, or something in the optimizer
            cannot be saved. The folder is as it was.

    Example:

    >>> optimizer = keras_l2o.LearnedOptimizer(keras_l2o.policies.RNNProp())
    >>> keras_l2o.save(optimizer, "my-rnnprop", {"seed": 3})
    >>> optimizer = keras_l2o.load("my-rnnprop", learning_rate=0.5)
    """
    optimizer = without_loss_scale(optimizer)
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
    with reported(folder, "written"):
        _check_target(folder, overwrite)
    usage = _usage(optimizer)
    custom_objects = allowed.at_hand(usage["policy"])
    contents = {
        CONFIG: json_files.dump(usage),
        METADATA: json_files.dump(metadata or {}),
        WEIGHTS: weights.pack(optimizer.policy),
    }
    for name, data in contents.items():
        if len(data) > LIMITS[name]:
            raise TooLarge(
                f"{name} would have {len(data)} bytes. At most "
                f"{LIMITS[name]} are read back."
            )
    # Better an error now than a folder that cannot be loaded.
    _policy_and_usage(contents, custom_objects)
    contents[DIGESTS] = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        for name, data in contents.items()
    ).encode()
    with reported(folder, "written"):
        _write(folder, contents, overwrite)


def copy(source, target, overwrite=False):
    """Copies the folder of an optimizer, byte for byte.

    The digests and the format are checked. The policy is not built, so that a
    policy class of somebody else's need not be defined here.

    Args:
        source: Path of a folder that `save` wrote.
        target: Path.
        overwrite: As in `save`.
    """
    contents = read(source)
    parse_metadata(contents)
    formats.read(json_files.parse(contents[CONFIG], CONFIG))
    target = pathlib.Path(os.path.abspath(target))
    with reported(target, "written"):
        _write(target, contents, overwrite)


def load(
    folder: Path,
    custom_objects: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> LearnedOptimizer:
    """Reads a learned optimizer from a folder.

    A folder may come from anybody. So its config can only name classes of
    keras_l2o, optimizers, schedules and initializers of Keras, and what you
    allow in `custom_objects`. Registering a class, or putting it into
    `keras.saving.custom_object_scope`, does not allow it.

    Args:
        folder: Path of a folder that `save` wrote.
        custom_objects: Dict from names to classes or functions that the
            config may name: policies of your own, and what they are made of.
            The key is the name under which the class is registered, such as
            `"mine>MyRule"`, or the class's own name. Defaults to `None`, no
            other class.
        **overrides: Arguments of `LearnedOptimizer`. They replace those that
            the folder holds, or add to them.

    Returns:
        A `LearnedOptimizer`, whose `source` is the folder's name and digest.

    Raises:
        ForeignClass: The config names a class that is not allowed.
        HubError: A file is missing, too large, not the one that its digest
            was taken of, or not in the format.

    Example:

    >>> optimizer = keras_l2o.load("my-optimizer", weight_decay=0.01)
    >>> optimizer.source
    'my-optimizer@sha256:...'
    """
    folder = pathlib.Path(folder)
    contents = read(folder)
    name = folder.absolute().name
    source = f"{name}@sha256:{digest(contents)}"
    return optimizer_of(contents, source, overrides, custom_objects)


def optimizer_of(contents, source, overrides, custom_objects=None):
    """Makes the optimizer that the contents of a folder describe.

    Args:
        contents: What `read` returns.
        source: String that says where they came from.
        overrides: Dict, as the keyword arguments of `load`.
        custom_objects: As in `load`.
    """
    policy, usage = _policy_and_usage(contents, custom_objects)
    arguments = {**usage, "source": source, **overrides}
    try:
        return LearnedOptimizer(policy, **arguments)
    except Exception as error:
        if overrides or isinstance(error, MemoryError):
            raise
        raise FormatError(
            f"{CONFIG} is not of a {LearnedOptimizer.__name__}: {error}"
        ) from error


def digest(contents):
    """The digest that stands for a folder: the SHA-256 of its `SHA256SUMS`."""
    return hashlib.sha256(contents[DIGESTS]).hexdigest()


def parse_metadata(contents):
    """The metadata among a folder's contents, a dict."""
    return json_files.parse(contents[METADATA], METADATA)


def read_metadata(folder):
    """The metadata of a folder, a dict; the folder's digests are checked."""
    return parse_metadata(read(folder))


@contextlib.contextmanager
def reported(path, done):
    """Turns errors of the operating system into a `HubError`.

    Args:
        path: Path that was asked for, which the message names.
        done: String, what could not be done with it, such as `"read"`.
    """
    try:
        yield
    except HubError:
        raise
    except (OSError, ValueError) as error:
        # The message names the folder that was asked for and, if the error
        # is about a file in it, that file.
        about = getattr(error, "filename", None)
        about = f" ({about})" if about and str(about) != str(path) else ""
        reason = getattr(error, "strerror", None) or error
        raise HubError(
            f"{path} cannot be {done}: {reason}{about}. Allow it, make room "
            "for it, or take another place."
        ) from error


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


def _usage(optimizer):
    config = optimizer.get_config()
    if not isinstance(config["learning_rate"], float):
        raise HubError(
            "The learning rate of a saved optimizer must be a number: a "
            "schedule belongs to one training. Pass it when loading."
        )
    return formats.write(config)


def _policy_and_usage(contents, custom_objects=None):
    """The policy with its weights, and the other arguments of its use."""
    json_files.parse(contents[METADATA], METADATA)
    config, usage = formats.read(json_files.parse(contents[CONFIG], CONFIG))
    policy = policy_from_config(config, custom_objects)
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
            # A save may have replaced the folder after some files were read.
            # Then they are read again; else the error is real.
            if _identity(folder) == before:
                raise


def is_there(folder):
    """Whether a folder exists.

    A save that was killed may have moved it away; then it is put back first.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        mend(folder)
    return folder.is_dir()


def mend(folder):
    """Clears away what killed saves to a folder have left, if permitted."""
    try:
        replacing.mend(pathlib.Path(os.path.abspath(folder)), LIMITS)
    except (Locked, OSError):
        pass


def _identity(folder):
    try:
        found = folder.stat()
    except (OSError, ValueError):  # not there, or no path at all
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _read(folder):
    with reported(folder, "read"):
        if not is_there(folder):
            raise MissingFile(f"There is no folder {folder}.")
        contents = {
            name: read_file(folder / name, limit)
            for name, limit in LIMITS.items()
        }
    check_digests(contents, f"{folder}{os.sep}")
    return contents


def check_digests(contents, place, fix="Fetch the folder again."):
    """Refuses files whose digest is not the one in `SHA256SUMS`.

    Args:
        contents: Dict of bytes by name, with `SHA256SUMS` among them.
        place: String, which the messages put before the names of files.
        fix: String, the advice at the end of the messages.
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
    with reported(path, "read"):
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
