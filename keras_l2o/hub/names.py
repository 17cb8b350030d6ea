"""From a name to an optimizer: bundled, in a repository, or in a folder."""

import difflib
import math
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from keras_l2o.hub import remote
from keras_l2o.hub.errors import MissingRevision
from keras_l2o.hub.errors import UnknownName
from keras_l2o.hub.folder import digest
from keras_l2o.hub.folder import load
from keras_l2o.hub.folder import optimizer_of
from keras_l2o.hub.folder import read
from keras_l2o.hub.folder import read_metadata
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.typing import Path

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*/[0-9]+")
#: The figure by which a family's best replicate is told, smaller is better.
#: Validation while it was made, so on no problem that it is evaluated on.
SELECTED_BY = "val_log_loss"
#: The family to take if in doubt.
RECOMMENDED = "general"


def roots():
    """Folders that hold bundled families."""
    package = pathlib.Path(__file__).resolve().parent.parent
    return [package / "pre-trained"]


def bundled():
    """Maps each bundled name, `family/replicate`, to its folder."""
    found = {}
    for root in reversed(roots()):
        for config in root.glob("*/*/config.json"):
            name = config.parent.relative_to(root).as_posix()
            if _NAME.fullmatch(name):
                found[name] = config.parent
    return dict(sorted(found.items(), key=lambda item: _order(item[0])))


def replicates(family):
    """The entries of `bundled()` that belong to one family."""
    return {
        name: folder
        for name, folder in bundled().items()
        if name.startswith(f"{family}/")
    }


def best(family):
    """The name of a family's best replicate, such as `"min-max-compact/1"`.

    It has the least validation loss in its metadata. Those without one come
    last, and among equals the one with the smallest number comes first.

    Args:
        family: String.

    Returns:
        String, or `None` if no family has that name.
    """

    def loss(name):
        figures = read_metadata(found[name]).get("figures") or {}
        value = figures.get(SELECTED_BY)
        known = isinstance(value, (int, float)) and math.isfinite(value)
        return value if known else math.inf

    found = replicates(family)
    return min(found, key=loss, default=None)


def from_hub(
    name: Path,
    revision: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> LearnedOptimizer:
    """Loads a learned optimizer by name, from the Hub, or from a folder.

    If in doubt, take `"general"`, which has nothing to set.

    The optimizer's `source`, which a saved model keeps, says exactly which one
    it is: it holds the digest of the folder, or the commit of the repository.

    Args:
        name: One of
            - `"family/replicate"`, such as `"min-max/1"`: one that comes with
              the package, so no network is needed;
            - `"family"`, such as `"general"`: that one of the family which had
              the least validation loss when it was made;
            - `"hf://org/repo"` or `"hf://org/repo/sub/folder"`: a folder in a
              repository of the Hugging Face Hub. Its files are downloaded the
              first time; from then on the Hub's cache has them, and no network
              is needed;
            - the path of a folder, as `pathlib.Path`, or as a string that
              starts with `/`, `./` or `../`.
        revision: String. Branch, tag or commit of the repository. A commit
            always gives the same optimizer. Defaults to `None`, the main
            branch.
        custom_objects: Dict from names to the classes that the optimizer's
            config may name beside keras_l2o's, as in `keras_l2o.load`.
            Defaults to `None`, no other class.
        **overrides: Arguments of `LearnedOptimizer`, such as `learning_rate`
            or `weight_decay`.

    Returns:
        A `LearnedOptimizer`.

    Raises:
        UnknownName: No optimizer has this name; the message lists those with
            the most similar names.
        RemoteError: The repository or the revision is missing, gated, or out
            of reach; see `keras_l2o.hub` for the class of each.
        ForeignClass: The config names a class that is not allowed.
        HubError: The folder is damaged, or it does not hold an optimizer.

    Example:

    >>> optimizer = keras_l2o.from_hub("general")
    >>> model.compile(optimizer=optimizer, loss="mse")
    >>> optimizer.source
    'general/...@sha256:...'
    >>> keras_l2o.from_hub("min-max/1").source
    'min-max/1@sha256:...'
    >>> optimizer = keras_l2o.from_hub("hf://me/repo/mine/1", weight_decay=0.01)
    >>> optimizer.source
    'hf://me/repo/mine/1@...'
    """
    if isinstance(name, str) and name.startswith(remote.SCHEME):
        address = remote.parse(name)
        contents, commit = remote.fetch(address, revision)
        source = f"{address}@{commit}"
        return optimizer_of(contents, source, overrides, custom_objects)
    if revision is not None:
        raise MissingRevision(
            "Argument `revision` belongs to an address that starts with "
            f"'hf://'. Received: name={name!r}, revision={revision!r}"
        )
    if is_path(name):
        return load(name, custom_objects, **overrides)
    if isinstance(name, str) and "/" not in name:
        name = best(name) or name
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UnknownName(
            "A name must be that of a family, such as 'min-max', or of the "
            "form 'family/replicate', such as 'min-max/1'; for a folder there "
            "is `keras_l2o.load(path)`. "
            f"Received: name={name!r}.{_nearest(str(name))}"
        )
    folder = bundled().get(name)
    if folder is None:
        raise UnknownName(f"There is no optimizer {name!r}.{_nearest(name)}")
    contents = read(folder)
    source = f"{name}@sha256:{digest(contents)}"
    return optimizer_of(contents, source, overrides, custom_objects)


def is_path(name):
    """Whether a name can only be a path, and not the name of a bundled one."""
    return isinstance(name, os.PathLike) or (
        isinstance(name, str)
        and (name.startswith(("./", "../")) or os.path.isabs(name))
    )


def _order(name):
    family, replicate = name.split("/")
    return family, int(replicate)


def _nearest(name):
    near = difflib.get_close_matches(name[:100], bundled(), n=3, cutoff=0.3)
    nearest = f" Nearest: {', '.join(near)}." if near else ""
    return f"{nearest} `keras_l2o.available()` lists all there are."
