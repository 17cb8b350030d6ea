"""What can go wrong between a name or a folder and an optimizer.

All derive from `HubError`, and what concerns a repository of the Hugging Face
Hub from `RemoteError`. Whichever is raised, nothing was loaded.
"""

from keras_l2o.errors import UserError


class HubError(UserError):
    """Base class: a name or a folder from which no optimizer was loaded.

    Example:

    >>> try:
    ...     keras_l2o.load("no-such-folder")
    ... except keras_l2o.hub.HubError as error:
    ...     print(error)
    There is no folder no-such-folder.
    """


class UnknownName(HubError):
    """No optimizer has this name, or it does not have the form of a name.

    Example:

    >>> keras_l2o.from_hub("min-max/99")
    Traceback (most recent call last):
    keras_l2o.hub.errors.UnknownName: There is no optimizer 'min-max/99'. ...
    """


class MissingFile(HubError):
    """A folder or a file in it is missing, or is not a plain file.

    Example:

    >>> import pathlib
    >>> pathlib.Path("empty").mkdir()
    >>> keras_l2o.load("empty")
    Traceback (most recent call last):
    keras_l2o.hub.errors.MissingFile: empty/config.json is missing, ...
    """


class TooLarge(HubError):
    """A file is larger than any of its kind has to be, so it was not read.

    Example:

    >>> import pathlib
    >>> _ = pathlib.Path("my-optimizer/config.json").write_bytes(b" " * 2**21)
    >>> keras_l2o.load("my-optimizer")
    Traceback (most recent call last):
    keras_l2o.hub.errors.TooLarge: ...config.json has 2097152 bytes, ...
    """


class DigestError(HubError):
    """A file is not the one whose digest is in the folder's `SHA256SUMS`.

    Example:

    >>> import pathlib
    >>> _ = pathlib.Path("my-optimizer/metadata.json").write_text("{}")
    >>> keras_l2o.load("my-optimizer")
    Traceback (most recent call last):
    keras_l2o.hub.errors.DigestError: my-optimizer/metadata.json is corrupt: ...
    """


class FormatError(HubError):
    """A file does not have the contents that an optimizer's folder needs.

    Example:

    >>> from keras_l2o.hub import formats
    >>> formats.read({"format_version": 99})
    Traceback (most recent call last):
    keras_l2o.hub.errors.FormatError: config.json is of format version 99; ...
    """


class ForeignClass(FormatError):
    """A config names a class that is neither keras_l2o's nor allowed by you.

    Example:

    >>> @keras.saving.register_keras_serializable(package="mine")
    ... class Still(keras_l2o.policies.CoordinatewisePolicy):
    ...     def tensor_update(self, gradient, parameter, state, step):
    ...         return keras.ops.zeros_like(gradient), state
    >>> keras_l2o.save(keras_l2o.LearnedOptimizer(Still()), "still")
    >>> keras_l2o.load("still")
    Traceback (most recent call last):
    keras_l2o.hub.errors.ForeignClass: config.json names a class ...
    >>> optimizer = keras_l2o.load("still", {"mine>Still": Still})
    """


class WeightsError(FormatError):
    """The weights cannot be read, or they are not those of the policy.

    Example:

    >>> from keras_l2o.hub import weights
    >>> weights.unpack(b"", keras_l2o.policies.SGD())
    Traceback (most recent call last):
    keras_l2o.hub.errors.WeightsError: The weights cannot be read: ...
    """


class RemoteError(HubError):
    """Base class: a repository of the Hub from which nothing was loaded.

    Example:

    >>> try:
    ...     keras_l2o.from_hub("hf://me/no-such-repository")
    ... except keras_l2o.hub.RemoteError as error:
    ...     print(type(error).__name__)
    MissingRepository
    """


class MissingRepository(RemoteError):
    """The repository does not exist, or it is private and you are logged out.

    Example:

    >>> keras_l2o.from_hub("hf://me/no-such-repository")
    Traceback (most recent call last):
    keras_l2o.hub.errors.MissingRepository: There is no repository ...
    """


class MissingRevision(RemoteError):
    """The repository has no branch, tag or commit of this name.

    Example:

    >>> keras_l2o.from_hub("hf://me/repo/mine/1", revision="no-such-branch")
    Traceback (most recent call last):
    keras_l2o.hub.errors.MissingRevision: hf://me/repo has no branch, ...
    """


class GatedRepository(RemoteError):
    """The owner of the repository has to give you access first.

    Example:

    >>> def load_or_say_why(name):
    ...     try:
    ...         return keras_l2o.from_hub(name)
    ...     except keras_l2o.hub.GatedRepository:
    ...         print("Ask for access on the page of", name)
    >>> optimizer = load_or_say_why("hf://me/repo/mine/1")
    """


class AccessDenied(RemoteError):
    """Your token, or having none, does not allow what was asked for.

    Example:

    >>> def publish_or_say_why(folder, address):
    ...     try:
    ...         keras_l2o.publish(folder, address)
    ...     except keras_l2o.hub.AccessDenied:
    ...         print("Log in with a token that may write: hf auth login")
    >>> publish_or_say_why("my-optimizer", "hf://me/repo/mine/1")
    """


class Unreachable(RemoteError):
    """The Hub did not answer, and not all that is needed is in the cache.

    Example:

    >>> import os
    >>> os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"  # nobody listens there
    >>> keras_l2o.from_hub("hf://me/never-loaded")
    Traceback (most recent call last):
    keras_l2o.hub.errors.Unreachable: hf://me/never-loaded could not ...
    """
