"""Optimizers from folders to a repository of the Hugging Face Hub."""

import pathlib
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from keras_l2o.hub import folder as folders
from keras_l2o.hub import names
from keras_l2o.hub import remote
from keras_l2o.hub import repository_card
from keras_l2o.hub.errors import MissingFile
from keras_l2o.hub.errors import MissingRepository
from keras_l2o.hub.errors import MissingRevision
from keras_l2o.hub.errors import RemoteError
from keras_l2o.hub.errors import UnknownName
from keras_l2o.hub.errors import Unreachable
from keras_l2o.typing import Path
from keras_l2o.version import __version__


class Publication(NamedTuple):
    """What `publish` did, or what it would do if it is a dry run.

    Attributes:
        address: String, `"hf://..."`.
        url: String, the page of the commit; `None` in a dry run.
        commit: String, the commit's hash; `None` in a dry run.
        files: Dict from each file's path in the repository to its size in
            bytes.
        card: String, the model card; `None` if somebody has edited the one in
            the repository, which is then left alone.
        note: String. A dry run that could not reach the repository describes
            what would be sent to a new one, and says here why. Defaults to
            `None`.
    """

    address: str
    url: str | None
    commit: str | None
    files: dict
    card: str | None
    note: str | None = None


def publish(
    source: Path,
    target: str,
    private: bool = False,
    revision: str | None = None,
    dry_run: bool = False,
    message: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> Publication:
    """Publishes optimizers, with a model card, in one commit.

    Every folder is loaded before anything is sent. The repository and the
    branch are made if they are missing. The model card describes all
    optimizers that the repository then holds. A card that somebody has edited
    is never replaced; a digest in the card's last line shows whether it is
    still as `publish` wrote it. Log in first, with `hf auth login`, or set
    the environment variable `HF_TOKEN`.

    Args:
        source: Path of an optimizer's folder, of a family's folder with
            replicates in it (`min-max/1`, `min-max/2`, ...: give `min-max`),
            or of a folder of families; or the name of a bundled optimizer or
            family, such as `"min-max/1"` or `"min-max"`.
        target: `"hf://org/repo"` or `"hf://org/repo/sub/folder"`.
        private: Bool. Whether the repository is to be private if it is made.
            If it exists and is public, `True` is an error. Defaults to
            `False`.
        revision: String, the name of the branch. Defaults to `None`, the main
            branch.
        dry_run: Bool. If `True`, nothing is sent, and the result says what
            would be. Without a network it says what would be sent to a new
            repository. Defaults to `False`.
        message: String, the message of the commit. Defaults to `None`, a
            sentence that says how many optimizers were published.
        custom_objects: Dict of classes that the folders may name, as in
            `keras_l2o.load`. Defaults to `None`, no other class.

    Returns:
        A `Publication`.

    Raises:
        HubError: A folder cannot be loaded, or the Hub refused something, or
            could not be reached. Nothing was published then, though the
            repository may have been made; the same call can be repeated.

    Example:

    >>> made = keras_l2o.publish("my-optimizer", "hf://me/optimizers/mine/1")
    >>> "mine/1/config.json" in made.files
    True
    >>> optimizer = keras_l2o.from_hub(made.address, revision=made.commit)
    """
    address = remote.parse(target)
    branch = remote.BRANCH if revision is None else revision
    remote.check_revision(branch)
    with folders.reported(source, "read"):
        sources = find(source)
    contents = {}
    for path, folder in sources.items():
        contents[path] = folders.read(folder)
        folders.optimizer_of(contents[path], None, {}, custom_objects)
    head, note = None, None
    try:
        head = _head(address, branch, private, dry_run)
    except Unreachable as error:
        if not dry_run:
            raise
        note = str(error)
    files = {
        address.path(path, name): data
        for path, content in contents.items()
        for name, data in content.items()
    }
    bundled = _bundled(address, sources)
    try:
        card, more = repository_card.make(
            address, branch, head, contents, bundled
        )
    except Unreachable as error:
        if not dry_run:
            raise
        note = str(error)
        card, more = repository_card.make(
            address, branch, None, contents, bundled
        )
    files.update(more)
    if card is not None:
        files[repository_card.CARD] = card.encode()
    sizes = {path: len(data) for path, data in files.items()}
    if dry_run:
        return Publication(str(address), None, None, sizes, card, note)
    what = f"{len(sources)} optimizers" if len(sources) > 1 else "an optimizer"
    message = message or f"Publish {what} with keras_l2o {__version__}"
    made = _commit(address, branch, head, files, message)
    return Publication(str(address), made.commit_url, made.oid, sizes, card)


def find(source):
    """Finds the folders of the optimizers that a source stands for.

    Args:
        source: As in `publish`.

    Returns:
        Dict from each folder's path, relative to the source, to the folder.
    """
    folder = pathlib.Path(source).expanduser()
    bundled = names.bundled()
    named = {
        name: path
        for name, path in bundled.items()
        if not names.is_path(source) and f"{name}/".startswith(f"{source}/")
    }
    if named and folder.exists():
        root = next(iter(named.values())).parent.parent
        if (root / source).resolve() != folder.resolve():
            raise UnknownName(
                f"{source!r} is a folder here and a bundled name. For the "
                f"folder give './{source}'."
            )
    if named:
        start = "" if source in named else f"{source}/"
        return {
            name.removeprefix(start) if start else "": path
            for name, path in named.items()
        }
    if not folder.is_dir():
        raise MissingFile(f"There is no folder {folder}.")
    for pattern in (
        folders.CONFIG,
        f"*/{folders.CONFIG}",
        f"*/*/{folders.CONFIG}",
    ):
        found = sorted(path.parent for path in folder.glob(pattern))
        found = [path for path in found if not path.name.startswith(".")]
        if found:
            return {
                path.relative_to(folder).as_posix().removeprefix("."): path
                for path in found
            }
    raise MissingFile(
        f"There is no {folders.CONFIG} in {folder}, nor in the folders in it."
    )


def _head(address, branch, private, dry_run):
    """The commit to build on; `None` if a dry run finds no repository."""
    api, repository = remote.client(), address.repository

    def ask(method, **options):
        return remote.ask(
            address, lambda: method(repository, **options), branch
        )

    try:
        info = ask(api.repo_info)
    except MissingRepository:
        if dry_run:
            return None
        ask(api.create_repo, private=private, exist_ok=True)
        info = ask(api.repo_info)
    if private and not info.private:
        raise RemoteError(
            f"hf://{repository} exists and is public, so nothing private was "
            "sent to it. Give another name, or make it private on its page."
        )
    if branch != remote.BRANCH:
        try:
            info = ask(api.repo_info, revision=branch)
        except MissingRevision:
            if not dry_run:
                ask(api.create_branch, branch=branch, exist_ok=True)
    return remote.checked_commit(address, info.sha)


def _commit(address, branch, head, files, message):
    import huggingface_hub

    operations = [
        huggingface_hub.CommitOperationAdd(path, data)
        for path, data in files.items()
    ]
    # Refused unless `head` is still the last commit: the card describes what
    # the repository held then.
    return remote.ask(
        address,
        lambda: remote.client().create_commit(
            address.repository,
            operations,
            commit_message=message,
            revision=branch,
            parent_commit=head,
        ),
        branch,
        seconds=remote.transfer_seconds(sum(map(len, files.values()))),
    )


def _bundled(address, sources):
    """Dict from families in the repository to the `Bundled` that they are."""
    known = {path.resolve(): name for name, path in names.bundled().items()}
    published, families = set(), {}
    for path, folder in sources.items():
        if name := known.get(folder.resolve()):
            family = repository_card.family(address, address.path(path))
            families.setdefault(family, name.split("/")[0])
            published.add(name)
    return {
        family: repository_card.Bundled(
            ours, published >= set(names.replicates(ours))
        )
        for family, ours in families.items()
    }
