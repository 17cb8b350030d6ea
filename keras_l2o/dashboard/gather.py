"""Everything the page shows, gathered from directories."""

import pathlib
import threading
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from keras_l2o.dashboard import evaluations
from keras_l2o.dashboard import names
from keras_l2o.dashboard import runs
from keras_l2o.dashboard.choices import Choices
from keras_l2o.errors import UserError
from keras_l2o.hub import names as hub_names
from keras_l2o.typing import Path

#: Of the form of the data. The page refuses another.
VERSION = 1


class Gatherer:
    """Gathers what the page shows, again and again while runs go on.

    A file that has not changed is not read again. One that cannot be read,
    since it is being copied or is damaged, keeps what was last read of it, and
    is named under `faults`.

    Args:
        paths: List of paths: directories that hold stored evaluations or run
            directories of meta-training, at any depth, or `.npz` files.

    Raises:
        ValueError: A path does not exist, or there is nothing in any of them.

    Example:

    >>> gatherer = keras_l2o.dashboard.Gatherer(["held_out/min-max"])
    >>> data = gatherer.data()
    >>> len(data["optimizers"]), len(data["evaluations"])
    (8, 64)
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = [pathlib.Path(path) for path in paths]
        for path in self.paths:
            if not path.exists():
                raise ValueError(f"There is no file or directory {path}.")
        self._read: dict[Any, tuple[Any, Any]] = {}
        self._choices = Choices()
        self._lock = threading.Lock()
        if not any(self._files()):
            raise ValueError(
                f"There is nothing to show in {_listed(self.paths)}: neither a "
                "stored evaluation (evaluations/*.npz) nor the directory of a "
                "run (config.json). `keras-l2o evaluate` and `keras-l2o train` "
                "make them."
            )

    def data(self, live: bool = False) -> dict[str, Any]:
        """What there is now.

        Args:
            live: Bool. Whether the page shall ask for newer data. Defaults to
                `False`.

        Returns:
            Dict that JSON can hold.
        """
        with self._lock:
            return self._data(live)

    def _files(self):
        """Yields triples of a kind, a path and the argument it is from."""
        seen = set()
        for root in self.paths:
            if root.is_file():
                found = [("evaluation", root)]
            else:
                found = [
                    ("evaluation", path)
                    for path in sorted(root.rglob("evaluations/*.npz"))
                    if not path.name.startswith(".")
                ]
                found += [
                    ("run", path)
                    for path in sorted(root.rglob("config.json"))
                    if self._fresh(path, _stamp, _is_run, [])
                ]
            for kind, path in found:
                if path.resolve() not in seen:
                    seen.add(path.resolve())
                    yield kind, path, root

    def _data(self, live):
        faults: list[str] = []
        found = _Found(self._choices)
        for kind, path, root in self._files():
            if kind == "run":
                own = self._fresh(path, _stamp_of_run, _run, faults)
                if own:
                    found.add_run(path.parent, root, own)
            else:
                own = self._fresh(path, _stamp, evaluations.entry, faults)
                if own:
                    found.add_evaluation(path, root, own)
        return {
            "version": VERSION,
            "live": live,
            "recommended": hub_names.best(hub_names.RECOMMENDED),
            "sets": list(found.sets),
            "groups": list(found.groups.values()),
            "optimizers": list(found.optimizers.values()),
            "evaluations": found.told_apart(),
            "runs": found.runs,
            "faults": faults,
        }

    def _fresh(
        self,
        path: pathlib.Path,
        stamp: Callable[[pathlib.Path], Any],
        read: Callable[[pathlib.Path], Any],
        faults: list[str],
    ) -> Any:
        """What was read of a file, now or before."""
        old = self._read.get((stamp, path), (None, None))
        try:
            new = stamp(path)
            if new == old[0]:
                return old[1]
            value = read(path)
        except (UserError, ValueError, OSError) as error:
            faults.append(f"{path}: {error}")
            return old[1]
        self._read[stamp, path] = (new, value)
        return value


class _Found:
    """What has been found so far, with each thing named once."""

    def __init__(self, choices):
        self.choices = choices
        self.sets: dict[str, None] = {}
        self.groups: dict[Any, dict[str, Any]] = {}
        self.optimizers: dict[Any, dict[str, Any]] = {}
        self.evaluations: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self._places: list[tuple[Any, str]] = []

    def add_evaluation(self, path, root, own):
        own = dict(own)
        group = {"set": _label(root), **own.pop("group")}
        self.sets[group["set"]] = None
        key = repr(group)
        self.groups.setdefault(key, {"id": len(self.groups), **group})
        own["group"] = self.groups[key]["id"]
        name = names.named(path, root, own.pop("settings"))
        own["optimizer"] = self._optimizer(name, path.parent.parent)
        place = path if root.is_file() else path.parent.parent
        base = root.parent if root.is_file() else root
        inside = place.relative_to(base).as_posix()
        self._places.append(((own["group"], own["optimizer"]), inside))
        self.evaluations.append(own)

    def _optimizer(self, name, folder):
        if name not in self.optimizers:
            known = self.choices.of(*name, folder / "optimizer")
            self.optimizers[name] = {
                "id": len(self.optimizers),
                **name._asdict(),
                **known,
            }
        return self.optimizers[name]["id"]

    def add_run(self, directory, root, own):
        inside = directory.relative_to(root).as_posix()
        name = directory.name if inside == "." else inside
        self.runs.append({"name": name, "set": _label(root), **own})
        self.sets[_label(root)] = None

    def told_apart(self):
        """The evaluations; those of one name and problem get their place."""
        counts: dict[Any, int] = {}
        for key, _ in self._places:
            counts[key] = counts.get(key, 0) + 1
        for own, (key, place) in zip(self.evaluations, self._places):
            if counts[key] > 1:
                own["place"] = place
        return self.evaluations


def _label(root):
    """What the page calls a directory that it was given."""
    return (root.parent if root.is_file() else root).absolute().name


def _listed(paths):
    return ", ".join(map(str, paths))


def _stamp(path):
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _stamp_of_run(path):
    summary = path.with_name("summary.csv")
    return _stamp(path), _stamp(summary) if summary.exists() else None


def _is_run(path):
    return runs.is_run(path.parent)


def _run(path):
    return {
        **runs.entry(path.parent),
        "updated": int(_updated(path)),
    }


def _updated(path):
    summary = path.with_name("summary.csv")
    return (summary if summary.exists() else path).stat().st_mtime
