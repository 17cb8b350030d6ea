"""The model card of a repository: of all optimizers that it holds."""

import itertools

from keras_l2o.hub import card_files
from keras_l2o.hub import cards
from keras_l2o.hub import folder as folders
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


def figures(bundled):
    """The pictures and results that are published together with families.

    Args:
        bundled: Dict from families in the repository to the bundled families
            that they are.

    Returns:
        Dict from paths in the repository to bytes.
    """
    return {
        _shown(name) + file: data
        for name, ours in bundled.items()
        for file, data in card_files.figures(ours).items()
    }


def make(address, branch, head, contents, bundled):
    """Makes the card of all that a repository will hold.

    Args:
        address: The `Address` that is published to.
        branch: String.
        head: String, the branch's commit; `None` if there is no repository.
        contents: Dict of the contents of what is published, by the path in
            the address.
        bundled: As in `figures`.

    Returns:
        String, the card with its seal; `None` if somebody has edited the card
        in the repository.
    """
    there = _files(address, branch, head)
    old = ""
    if CARD in there:
        data = remote.read(address, CARD, head, LARGEST_CARD)
        old = data.decode("utf-8", "replace")
        if not cards.is_unedited(old):
            return None
    found = {address.path(path): content for path, content in contents.items()}
    found = {**_others(address, head, there, found), **found}
    entries = [
        cards.Entry(
            path,
            family(address, path),
            folders.digest(content),
            folders.parse_metadata(content),
        )
        for path, content in found.items()
    ]
    written = cards.written(old)
    extras = {}
    for name in {entry.family for entry in entries}:
        if name in bundled:
            extras[name] = _bundled_extras(name, bundled[name])
        else:
            extras[name] = _there(address, head, there, name)._replace(
                written=written.get(name, "")
            )
    card = cards.render(
        entries,
        title=address.repository,
        address=lambda path: str(address._replace(folder=path)),
        extras=extras,
        template=card_files.template(),
    )
    return cards.seal(card)


def _shown(name):
    return f"{card_files.FIGURES}/{name}/"


def _bundled_extras(name, ours):
    extras = card_files.extras(ours)
    plots = (plot.rpartition("/")[2] for plot in extras.plots)
    return extras._replace(plots=tuple(_shown(name) + plot for plot in plots))


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
