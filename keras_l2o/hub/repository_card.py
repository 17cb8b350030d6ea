"""The model card of a repository: of all optimizers that it holds."""

import itertools
from typing import NamedTuple

from keras_l2o.hub import card_files
from keras_l2o.hub import cards
from keras_l2o.hub import folder as folders
from keras_l2o.hub import json_files
from keras_l2o.hub import remote
from keras_l2o.hub.errors import HubError
from keras_l2o.hub.errors import RemoteError
from keras_l2o.hub.errors import TooLarge
from keras_l2o.hub.errors import UnknownName

CARD = "README.md"
LARGEST_CARD = 2**20
#: The most files that a repository may have.
MOST_FILES = 10_000


def family(address, path):
    """The family of a folder in a repository: the folder around it."""
    around = path.rpartition("/")[0].rpartition("/")[2]
    return around or address.repository.rpartition("/")[2]


class Bundled(NamedTuple):
    """A bundled family that is published.

    Attributes:
        family: String, its name in the package.
        whole: Bool. Whether all of its replicates are published. If not, what
            was measured of the family as a whole is not on the card.
    """

    family: str
    whole: bool


def make(address, branch, head, contents, bundled):
    """Makes the card of all that a repository will hold, and what it shows.

    Args:
        address: The `Address` that is published to.
        branch: String.
        head: String, the branch's commit; `None` if there is no repository.
        contents: Dict of the contents of what is published, by the path in
            the address.
        bundled: Dict from families in the repository to the `Bundled` that
            they are.

    Returns:
        String, the card with its seal, `None` if somebody has edited the card
        in the repository; and a dict from paths in the repository to bytes,
        the pictures and results to publish.
    """
    there = _files(address, branch, head)
    old, edited = "", False
    if CARD in there:
        data = remote.read(address, CARD, head, LARGEST_CARD)
        old = data.decode("utf-8", "replace")
        edited = not cards.is_unedited(old)
    found = {address.path(path): content for path, content in contents.items()}
    found = {**_others(address, head, there, found), **found}
    ours = card_files.known()
    entries = []
    for path, content in found.items():
        digest = folders.digest(content)
        entries.append(
            cards.Entry(
                path,
                family(address, path),
                digest,
                folders.parse_metadata(content),
                ours.get(digest, ""),
            )
        )
    written = cards.written(old)
    extras, files = {}, {}
    for name in dict.fromkeys(entry.family for entry in entries):
        known = bundled.get(name)
        before = cards.Extras()
        if known is None or not known.whole:
            before = _there(address, head, there, name)
        if known is None:
            extras[name] = before._replace(written=written.get(name, ""))
            continue
        extras[name], more = _bundled_extras(name, known, before)
        files.update(more)
    if edited:
        return None, files
    first, *_ = cards.in_order(entries)
    card = cards.render(
        entries,
        title=address.repository,
        extras=extras,
        template=card_files.template(),
        example=str(address._replace(folder=first.path)),
    )
    return cards.seal(card), files


def _shown(name):
    return f"{card_files.FIGURES}/{name}/"


def _bundled_extras(name, ours, before):
    """What a card says of a bundled family, and the files that it needs.

    Args:
        name: String, the family in the repository.
        ours: `Bundled`.
        before: `Extras`, of what the repository has of the family.
    """
    extras = card_files.extras(ours.family)
    if ours.whole:
        files = card_files.figures(ours.family)
        plots = (plot.rpartition("/")[2] for plot in extras.plots)
        extras = extras._replace(plots=tuple(_shown(name) + p for p in plots))
    else:
        own = {k: v for k, v in extras.results.items() if k != cards.FAMILY}
        results = {**own, **before.results}
        files = {card_files.RESULTS: json_files.dump(results)} if own else {}
        extras = extras._replace(plots=before.plots, results=results)
    return extras, {_shown(name) + file: data for file, data in files.items()}


def _files(address, branch, head):
    """The paths in the repository that could belong to an optimizer."""
    if head is None:
        return set()

    def listed():
        tree = remote.client().list_repo_tree(
            address.repository, recursive=True, revision=head
        )
        return list(itertools.islice(tree, MOST_FILES + 1))

    tree = remote.ask(address, listed, branch, seconds=remote.TRANSFER_SECONDS)
    if len(tree) > MOST_FILES:
        raise RemoteError(
            f"{address} has more than {MOST_FILES} files; publish to another."
        )
    return {entry.path for entry in tree if _is_plain(address, entry.path)}


def _is_plain(address, path):
    try:
        remote.parse(str(address._replace(folder=path)))
    except UnknownName:
        return False
    return True


def _others(address, head, there, ours):
    """Digests and metadata of the optimizers that are there already."""
    found = {}
    for sums in sorted(there):
        path, _, name = sums.rpartition("/")
        prefix = f"{path}/" if path else ""
        if (
            name == folders.DIGESTS
            and path not in ours
            and all(prefix + file in there for file in folders.LIMITS)
        ):
            content = {
                file: _read(address, head, prefix + file, folders.LIMITS[file])
                for file in (folders.DIGESTS, folders.METADATA)
            }
            try:
                folders.check_digests(content, prefix)
                folders.parse_metadata(content)
            except HubError:
                continue  # no optimizer, whatever it is called
            found[path] = content
    return found


def _there(address, head, there, name):
    """The pictures and results of a family that are there already."""
    shown = _shown(name)
    plots = [path for path in there if path.startswith(shown)]
    plots = tuple(sorted(path for path in plots if path.endswith(".png")))
    results = {}
    file = shown + card_files.RESULTS
    if file in there:
        data = _read(address, head, file, card_files.LARGEST_FIGURE)
        try:
            results = card_files.parse_results(data)
        except HubError:
            pass  # a file of somebody else's
    return cards.Extras(plots=plots, results=results)


def _read(address, head, path, limit):
    """A file's bytes; no bytes if it is larger than any file of ours."""
    try:
        return remote.read(address, path, head, limit)
    except TooLarge:
        return b""
