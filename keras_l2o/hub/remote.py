"""Folders in repositories of the Hugging Face Hub, and in its cache."""

import contextlib
import os
import pathlib
import re
from typing import NamedTuple

from keras_l2o import extras
from keras_l2o.hub import bounded
from keras_l2o.hub import folder as folders
from keras_l2o.hub.errors import AccessDenied
from keras_l2o.hub.errors import GatedRepository
from keras_l2o.hub.errors import HubError
from keras_l2o.hub.errors import MissingFile
from keras_l2o.hub.errors import MissingRepository
from keras_l2o.hub.errors import MissingRevision
from keras_l2o.hub.errors import RemoteError
from keras_l2o.hub.errors import TooLarge
from keras_l2o.hub.errors import UnknownName
from keras_l2o.hub.errors import Unreachable
from keras_l2o.version import __version__

SCHEME = "hf://"
BRANCH = "main"
#: Seconds that a question to the Hub may take, with all its requests.
SECONDS = 10.0
#: Seconds that a transfer may take, beside those for its bytes at the slowest
#: rate, in bytes per second.
TRANSFER_SECONDS = 30.0
SLOWEST = 100_000
#: The most bytes of an answer that is not a file.
LARGEST_ANSWER = 2**24

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ETAG = re.compile(r"[A-Za-z0-9_-]+")


class Address(NamedTuple):
    """The address of a folder in a repository.

    Attributes:
        repository: String, `"org/repo"`.
        folder: String, the folder's path in the repository; `""` is the root.
    """

    repository: str
    folder: str

    def __str__(self):
        return SCHEME + "/".join(filter(None, self))

    def path(self, *names):
        """The path in the repository of something in the folder."""
        return "/".join(filter(None, [self.folder, *names]))


def parse(text):
    """The `Address` of a text like `"hf://org/repo/sub/folder"`."""
    extras.need("hub", f"An address that starts with '{SCHEME}'")
    parts = str(text).removeprefix(SCHEME).split("/")
    if (
        not str(text).startswith(SCHEME)
        or not 2 <= len(parts) <= 16
        or not all(_PART.fullmatch(part) for part in parts)
        or not _is_repository("/".join(parts[:2]))
    ):
        raise UnknownName(
            "An address must be of the form 'hf://org/repo' or "
            "'hf://org/repo/sub/folder', of letters, digits, '-', '_' and "
            f"'.'. Received: {text!r:.200}"
        )
    return Address("/".join(parts[:2]), "/".join(parts[2:]))


def _is_repository(name):
    from huggingface_hub import errors
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except errors.HFValidationError:
        return False
    return True


def check_revision(revision):
    """Refuses a text that cannot be the name of a branch, tag or commit."""
    # It becomes part of a path in the cache.
    if not isinstance(revision, str) or (
        not _REVISION.fullmatch(revision)
        or ".." in revision
        or len(revision) > 200
    ):
        raise MissingRevision(
            "Argument `revision` must be the name of a branch, a tag or a "
            f"commit. Received: revision={revision!r:.200}"
        )


def client():
    """The Hub's client, which takes address and token from the environment."""
    import huggingface_hub

    # `HF_ENDPOINT` is otherwise read when the client is first imported.
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    return huggingface_hub.HfApi(
        endpoint=endpoint,
        library_name="keras_l2o",
        library_version=__version__,
    )


def fetch(address, revision=None):
    """Reads a folder in a repository, from the cache if it is there.

    Only the four files of an optimizer are downloaded, each after its size is
    known to be small enough. Without a network, the revision is the one that
    the cache holds.

    Args:
        address: An `Address`.
        revision: Branch, tag or commit. Defaults to the main branch.

    Returns:
        The contents, as `folder.read` returns them, and the commit.
    """
    revision = BRANCH if revision is None else revision
    check_revision(revision)
    commit = _resolve(address, revision)
    contents = {
        name: read(address, address.path(name), commit, limit)
        for name, limit in folders.LIMITS.items()
    }
    folders.check_digests(
        contents,
        f"{Address(f'{address.repository}@{commit[:10]}', address.folder)}/",
        "If its repository is intact, the cached one is not: delete "
        f"{_cache(address)} and load again.",
    )
    return contents, commit


def read(address, path, commit, limit):
    """Reads a file of a repository.

    Args:
        address: An `Address` in the repository.
        path: String, the file's path in the repository.
        commit: String.
        limit: Int. A file with more bytes is neither downloaded nor read.
    """
    with translated(address, commit, path):
        cached = _cached(address, path, commit)
    if cached is None:
        size = _head(address, path, commit).size
        if size is None or size > limit:
            raise TooLarge(
                f"{path} in {address} has {size} bytes, so it was not "
                f"downloaded. At most {limit} are expected."
            )
        cached = ask(
            address,
            lambda: client().hf_hub_download(
                address.repository, path, revision=commit
            ),
            commit,
            path,
            seconds=transfer_seconds(size),
            size=size,
        )
    # The cache's files are links to where it keeps their contents.
    with translated(address, commit, path):
        file = pathlib.Path(cached).resolve()
        inside = file.is_relative_to(_cache(address).parent.resolve())
    if not inside:
        raise MissingFile(f"{cached} leads out of the cache: {file}")
    return folders.read_file(file, limit)


def _resolve(address, revision):
    """The commit of a revision; without a network, as the cache knows it."""
    if _COMMIT.fullmatch(revision):
        return revision

    def resolve(**options):
        return client().resolve_revision(
            address.repository, revision=revision, **options
        )

    try:
        commit = ask(address, resolve, revision)
    except Unreachable as error:
        try:
            commit = resolve(local_files_only=True)
        except Exception:  # not in the cache, or not to be read there
            raise error from None
    return checked_commit(address, commit.resolved)


def checked_commit(address, commit):
    """A commit that the Hub has named, if it has the form of one."""
    # It becomes part of paths in the cache.
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise RemoteError(f"{address} is not answered as by a Hub.")
    return commit


def _head(address, path, commit):
    """What the hub says of a file."""
    import huggingface_hub

    api = client()
    url = huggingface_hub.hf_hub_url(
        address.repository, path, revision=commit, endpoint=api.endpoint
    )
    head = ask(address, lambda: api.get_hf_file_metadata(url=url), commit, path)
    if head.commit_hash != commit or not _ETAG.fullmatch(head.etag or ""):
        raise RemoteError(f"{url} is not answered as by a Hub.")
    return head


def _cached(address, path, revision):
    import huggingface_hub

    found = huggingface_hub.try_to_load_from_cache(
        address.repository, path, revision=revision
    )
    return found if isinstance(found, str) else None


def _cache(address):
    """The folder that the client's cache has for a repository."""
    from huggingface_hub import constants

    name = "models--" + address.repository.replace("/", "--")
    return pathlib.Path(constants.HF_HUB_CACHE, name)


def transfer_seconds(size):
    """Seconds that a transfer of so many bytes may take."""
    return TRANSFER_SECONDS + size / SLOWEST


def ask(address, work, revision=None, path=None, seconds=None, size=None):
    """Asks the Hub something, within a time and a size.

    Args:
        address: An `Address` in the repository that it is about.
        work: Function without arguments that asks, by the Hub's client.
        revision, path: Strings, for the errors' messages.
        seconds: Float. Defaults to `SECONDS`.
        size: Int. Most bytes of an answer. Defaults to `LARGEST_ANSWER`.
    """
    with translated(address, revision, path):
        seconds = SECONDS if seconds is None else seconds
        size = LARGEST_ANSWER if size is None else size
        return bounded.run(work, seconds, size)


@contextlib.contextmanager
def translated(address, revision=None, path=None):
    """Turns the errors of the Hub's client into ours, with advice."""
    import httpx2
    from huggingface_hub import errors

    repository = f"{SCHEME}{address.repository}"
    try:
        yield
    except Unreachable as error:
        raise _unreachable(address, error) from error
    except HubError as error:
        where = "/".join(filter(None, [repository, path]))
        raise type(error)(f"{where}: {error}") from error
    except MemoryError:
        raise
    except errors.GatedRepoError as error:
        raise GatedRepository(
            f"{repository} is gated. Ask for access on its page, then log in: "
            "hf auth login"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise MissingRepository(
            f"There is no repository {repository}, or it is private and you "
            "are not logged in: hf auth login"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise MissingRevision(
            f"{repository} has no branch, tag or commit {revision!r}."
        ) from error
    except (
        errors.LocalEntryNotFoundError,
        errors.OfflineModeIsEnabled,
        errors.RevisionResolutionError,
        httpx2.TransportError,
    ) as error:
        raise _unreachable(address, error) from error
    except errors.EntryNotFoundError as error:
        raise MissingFile(
            f"There is no {path} in {repository} at {revision}. An "
            f"optimizer's folder holds {', '.join(sorted(folders.LIMITS))}."
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise AccessDenied(
                f"{repository}: your token, or having none, does not allow "
                "this. Log in with one that may: hf auth login"
            ) from error
        if status >= 500 or status in (408, 429):
            raise _unreachable(address, error) from error
        raise RemoteError(f"{repository}: {_first_line(error)}") from error
    except Exception as error:  # whatever an odd answer leads to
        raise RemoteError(
            f"{repository}: the transfer failed; the same call takes it up "
            f"again. {_first_line(error)}"
        ) from error


def _unreachable(address, error):
    return Unreachable(
        f"{SCHEME}{address.repository} could not be reached, and not all that "
        f"is needed is in the cache: {_first_line(error)}"
    )


def _first_line(error):
    """The first line of a message.

    Queries are cut off addresses, because signatures may be in them.
    """
    line = next(filter(None, map(str.strip, str(error).splitlines())), "")
    return re.sub(r"\?\S+", "", line)[:300] or type(error).__name__
