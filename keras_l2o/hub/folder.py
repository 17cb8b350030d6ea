"""An optimizer in a folder: written whole, read only if it is intact."""

import contextlib
import hashlib
import json
import os
import pathlib

import keras

from keras_l2o.files.lock import Locked
from keras_l2o.hub import allowed
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


#: Deepest nest of what is parsed.
DEEPEST = 50


def save(optimizer, folder, metadata=None, overwrite=False):
    """Writes a learned optimizer to a folder that `load` reads.

    The folder holds `config.json` (the policy and how to use it),
    `policy.weights.h5`, `metadata.json` (how it was made) and `SHA256SUMS`.
    It appears whole or not at all. Clipping, weight decay and the like belong
    to one training and are not kept: pass them to `load`. A policy of your own
    is saved, too, if it is registered; see `Policy`.

    Args:
        optimizer: A `LearnedOptimizer` whose learning rate is a number, or a
            `keras.optimizers.LossScaleOptimizer` around one, as
            `model.optimizer` is under `"mixed_float16"`.
        folder: Path.
        metadata: Dict that JSON can hold, or `None`. `figures` in it are what
            `available` lists.
        overwrite: Bool. Whether an optimizer's folder that exists is replaced.
            Any other folder that is not empty never is. Defaults to `False`.

    Raises:
        HubError: The folder exists, or something could not be written in the
            format. The folder is as it was.

    Example:

    >>> keras_l2o.save(model.optimizer, "my-optimizer", {"seed": 3})
    >>> optimizer = keras_l2o.load("my-optimizer", learning_rate=0.5)
    """
    while isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
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
        CONFIG: _json(usage),
        METADATA: _json(metadata or {}),
        WEIGHTS: weights.pack(optimizer.policy),
    }
    for name, data in contents.items():
        if len(data) > LIMITS[name]:
            raise TooLarge(
                f"{name} would have {len(data)} bytes. At most "
                f"{LIMITS[name]} are read back."
            )
    # What could not be loaded is not written either.
    _policy_and_usage(contents, custom_objects)
    contents[DIGESTS] = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        for name, data in contents.items()
    ).encode()
    with reported(folder, "written"):
        _write(folder, contents, overwrite)


def copy(source, target, overwrite=False):
    """Writes the optimizer in a folder to another one, byte for byte.

    Its digests and its format are checked; the policy is not made, so that
    its class need not be at hand.

    Args:
        source: Path of a folder that `save` wrote.
        target: Path.
        overwrite: As in `save`.
    """
    contents = read(source)
    parse_metadata(contents)
    formats.read(parse(contents[CONFIG], CONFIG))
    target = pathlib.Path(os.path.abspath(target))
    with reported(target, "written"):
        _write(target, contents, overwrite)


def load(folder, custom_objects=None, **overrides):
    """Reads a learned optimizer from a folder.

    A folder may come from anybody, so its config can name no classes but
    those of keras_l2o, and Keras's optimizers, schedules and initializers,
    and those that you allow. Neither having registered a class nor
    `keras.saving.custom_object_scope` allows it.

    Args:
        folder: Path of a folder that `save` wrote.
        custom_objects: Dict from the registered name, or the own name, of a
            policy (or of what is in it, such as an optimizer or a function)
            to the class or function. Defaults to none.
        **overrides: Arguments of `LearnedOptimizer`, instead of or beside
            those that the folder names.

    Returns:
        A `LearnedOptimizer`, whose `source` is the folder's name and digest.

    Raises:
        ForeignClass: The config names a class that is not allowed.
        HubError: A file is missing, too large, not what its digest says, or
            not of this format. Nothing is loaded then.

    Example:

    >>> optimizer = keras_l2o.load("pre-trained/min-max/1", weight_decay=0.01)
    >>> optimizer = keras_l2o.load(
    ...     "my-optimizer", custom_objects={"mine>MyRule": MyRule})
    """
    folder = pathlib.Path(folder)
    contents = read(folder)
    name = folder.absolute().name
    source = f"{name}@sha256:{digest(contents)}"
    return optimizer_of(contents, source, overrides, custom_objects)


def optimizer_of(contents, source, overrides, custom_objects=None):
    """Makes the optimizer of a folder's contents.

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
    """Digest of a folder: that of its `SHA256SUMS`."""
    return hashlib.sha256(contents[DIGESTS]).hexdigest()


def parse_metadata(contents):
    """The metadata among a folder's contents, a dict."""
    return parse(contents[METADATA], METADATA)


def read_metadata(folder):
    """The metadata of a folder, its digest checked."""
    return parse_metadata(read(folder))


@contextlib.contextmanager
def reported(path, done):
    """Makes what the system says against a path a `HubError` that names it."""
    try:
        yield
    except HubError:
        raise
    except (OSError, ValueError) as error:
        # The folder that was asked for, and the file in it that it is about.
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


def _json(value):
    try:
        return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise HubError(f"JSON cannot hold this: {error}") from error


def _policy_and_usage(contents, custom_objects=None):
    """The policy with its weights, and the other arguments of its use."""
    parse(contents[METADATA], METADATA)
    config, usage = formats.read(parse(contents[CONFIG], CONFIG))
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


def parse(data, name):
    """The object in a file of JSON, a dict."""
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{name} must hold an object.")
    _check_depth(value, name)
    return value


def _check_depth(value, name, left=DEEPEST):
    """Refuses what is too deep for whoever walks through it later."""
    if not left:
        raise FormatError(f"{name} is nested deeper than {DEEPEST} levels.")
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _check_depth(item, name, left - 1)
