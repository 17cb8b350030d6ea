import csv
import io
import json
import pathlib
import re
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_l2o import hub
from keras_l2o.files import whole
from keras_l2o.files.lock import Lock
from keras_l2o.files.lock import Locked
from keras_l2o.learned_optimizer import LearnedOptimizer
from keras_l2o.policies.former import renamed
from keras_l2o.policies.former import to_current
from keras_l2o.strategies import checkpoints
from keras_l2o.strategies import former
from keras_l2o.strategies import rows as rows_module
from keras_l2o.strategies.errors import RunError
from keras_l2o.strategies.errors import named
from keras_l2o.strategies.rows import Row
from keras_l2o.typing import Config
from keras_l2o.typing import Path

CONFIG = "config.json"
SUMMARY = "summary.csv"
CHECKPOINTS = "checkpoints"
LOGS = "logs"
EVALUATIONS = "evaluations"
OPTIMIZER = "optimizer"

#: What a run writes in each of its folders, as regular expressions of names.
_OWN = {
    ".": r"config\.json|summary\.csv",
    CHECKPOINTS: checkpoints.PATTERN,
    LOGS: checkpoints.PLACE + r"\.csv",
}


class RunDirectory:
    """Reads and writes the files of a run.

    - `config.json` says what the run is.
    - `summary.csv` has a row for each finished period. A run that is taken up
      again goes by these rows.
    - `checkpoints` holds the weights that the run may still need.
    - `logs` has a file for each period, with a row for each outer step.
    - `optimizer` is the best student so far, as a `LearnedOptimizer`.
    - `evaluations` is empty; evaluations of the optimizer are written there.

    Other files in the directory are left as they are. Each file is replaced
    as a whole: a process that is killed leaves the old file or the new one.
    Any process may read; one at a time may write, from `open` to `close`.

    Args:
        path: Path of the directory. `open` makes it if it does not exist.

    Example:

    >>> strategy = keras_l2o.strategies.Simple(
    ...     "results/mine", num_periods=1, unroll=2, depth=1, episodes=1)
    >>> history = trainer.fit(callbacks=[strategy], verbose=0)
    >>> directory = keras_l2o.strategies.RunDirectory("results/mine")
    >>> directory.config()["run"]["strategy"]["name"]
    'simple'
    >>> directory.rows()[0].checkpoint
    '0-0-0'
    """

    def __init__(self, path: Path) -> None:
        self.path = pathlib.Path(path)
        self._lock: Lock | None = None

    def open(self, config: Config) -> None:
        """Locks the directory, makes its folders and writes `config.json`.

        Args:
            config: Dict that JSON can hold. Its entry `"run"` says what the
                run is; if the directory already holds a run, that run's entry
                must be the same.

        Raises:
            RunError: The directory holds another run or other files, or
                another process is writing to it. Nothing in it has changed.
        """
        config = json.loads(json.dumps(config))
        self._check(config)
        with named(self.path, "made"):
            self.path.mkdir(parents=True, exist_ok=True)
        try:
            with named(self.path, "written"):
                self._lock = Lock(self.path)
            # Until now another process may have held the directory.
            self._check(config)
            self._tidy()
            if not (self.path / CONFIG).exists():
                self._write(CONFIG, json.dumps(config, indent=2) + "\n")
            for name in (CHECKPOINTS, LOGS, EVALUATIONS):
                with named(self.path / name, "made"):
                    (self.path / name).mkdir(exist_ok=True)
        except Locked as error:
            raise RunError(str(error)) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Unlocks the directory, so that other processes may write to it."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def config(self) -> Config:
        """What `config.json` holds.

        Returns:
            Dict of `"run"`, what the run is, `"versions"`, those of the
            packages that started it, and `"metadata"`, for its optimizers.

        Raises:
            RunError: The file is missing or damaged.
        """
        text = self._text(CONFIG)
        try:
            config = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._no_run(f"is no JSON ({error})") from error
        if not isinstance(config, dict) or not isinstance(
            config.get("run"), dict
        ):
            raise self._no_run("has no entry `run`")
        return {"metadata": {}, **config}

    def rows(self) -> list[Row]:
        """The finished periods.

        Returns:
            List of `Row`, empty if no period is finished yet.

        Raises:
            RunError: The file is damaged.
        """
        if not (self.path / SUMMARY).exists():
            return []
        try:
            rows = rows_module.parse(self._text(SUMMARY))
            if not rows:
                raise ValueError("it has no period")
            return rows
        except ValueError as error:
            if isinstance(error, RunError):
                raise
            raise RunError(
                f"{self.path / SUMMARY} is damaged: {error}. Put the file "
                "back as it was, or take a new directory."
            ) from error

    def write_rows(self, rows: Sequence[Row]) -> None:
        """Writes `summary.csv`, after which the last period counts as finished.

        Args:
            rows: List of `Row`, of all finished periods.
        """
        self._write(SUMMARY, rows_module.dump(rows))

    def save_checkpoint(self, trainer: keras.Model, name: str) -> str:
        """Writes the trainer's weights.

        Args:
            trainer: The `MetaTrainer`.
            name: String, the checkpoint's name.

        Returns:
            String, the SHA-256 of the file.
        """
        return checkpoints.save(self.path / CHECKPOINTS, trainer, name)

    def load_checkpoint(
        self, trainer: keras.Model, name: str, digest: str = ""
    ) -> None:
        """Puts the weights of a checkpoint into a trainer.

        Args:
            trainer: The `MetaTrainer`.
            name: String, the checkpoint's name.
            digest: String, the SHA-256 that the file must have; `""` if it is
                not known. Defaults to `""`.

        Raises:
            RunError: The file is missing, has another digest, or does not
                hold weights of this trainer.
        """
        checkpoints.load(self.path / CHECKPOINTS, trainer, name, digest)

    def keep_checkpoints(
        self, rows: Sequence[Row], names: Collection[str]
    ) -> None:
        """Deletes the checkpoints of rows, except those of some names.

        Args:
            rows: List of `Row`.
            names: Set of strings, the checkpoints that are kept.
        """
        made = {row.checkpoint for row in rows if row.checkpoint}
        checkpoints.discard(self.path / CHECKPOINTS, sorted(made - {*names}))

    def write_log(self, name: str, logs: Sequence[Mapping[str, Any]]) -> None:
        """Writes the logs of a period's outer steps.

        Args:
            name: String, the period's name.
            logs: List with a dict for each outer step, all of the same keys.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, list(logs[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(logs)
        self._write(f"{LOGS}/{name}.csv", text.getvalue())

    def save_optimizer(
        self,
        optimizer: LearnedOptimizer,
        metadata: Config,
        replicate: int | str = "",
    ) -> None:
        """Writes an optimizer, in place of the one that is there.

        Args:
            optimizer: `LearnedOptimizer`.
            metadata: Dict that JSON can hold, stored with the optimizer.
            replicate: Int, counted from 1, if the run has several replicates.
                Defaults to `""`, for a run of one student.
        """
        folder = self.path / str(replicate) / OPTIMIZER
        with named(folder.parent, "made"):
            folder.parent.mkdir(exist_ok=True)
        hub.save(optimizer, folder, metadata, overwrite=True)

    def optimizers(self) -> dict[str, pathlib.Path]:
        """The folders of the run's optimizers.

        Returns:
            Dict of paths. The key is `""` in a run of one student, and in a
            run of several the replicate's number, as a string, from `"1"`.
        """
        single = self.path / OPTIMIZER
        if hub.folder.is_there(single):
            return {"": single}
        folders = {n: self.path / n / OPTIMIZER for n in self._numbers()}
        return {n: f for n, f in folders.items() if hub.folder.is_there(f)}

    def checkpoint_of(self, replicate: int | str) -> str | None:
        """The checkpoint that an optimizer in the directory was made from.

        Args:
            replicate: As in `save_optimizer`.

        Returns:
            String, the checkpoint's name; `None` if there is no optimizer.
        """
        folder = self.path / str(replicate) / OPTIMIZER
        if not hub.folder.is_there(folder):
            return None
        return hub.folder.read_metadata(folder).get("checkpoint")

    def _check(self, config):
        """Raises an error if the directory holds another run or other files."""
        if self.path.exists() and not self.path.is_dir():
            raise RunError(
                f"{self.path} is no directory. Take another name for the run's."
            )
        if (self.path / CONFIG).exists():
            difference = _difference(
                _uncounted(self.config()["run"]), _uncounted(config["run"])
            )
            if difference:
                path, old, new = difference
                raise RunError(
                    f"Directory {self.path} holds a run of another "
                    f"configuration: {path} is {old!r} there and {new!r} now. "
                    "Take another directory, or the configuration of this one."
                )
            return
        with named(self.path, "read"):
            taken = self._taken()
        if taken is not None:
            raise RunError(
                f"{taken} is in the way of a new run: there is no {CONFIG} in "
                f"{self.path} that says whose it is. Take another directory, "
                "or move it away."
            )

    def _taken(self):
        """The first path that a new run would overwrite, or `None`."""
        if not self.path.is_dir():
            return None
        for replicate in ("", *self._numbers()):
            if (self.path / replicate / OPTIMIZER).exists():
                return self.path / replicate / OPTIMIZER
        for name, pattern in _OWN.items():
            folder = self.path / name
            if folder.exists() and not folder.is_dir():
                return folder
            for path in sorted(folder.iterdir()) if folder.exists() else ():
                if re.fullmatch(pattern, path.name):
                    return path
        return None

    def _tidy(self):
        """Deletes unfinished files of this run that a killed process left."""
        for name, pattern in _OWN.items():
            with named(self.path / name, "read"):
                whole.sweep(self.path / name, pattern)
        for replicate in ("", *self._numbers()):
            hub.folder.mend(self.path / replicate / OPTIMIZER)

    def _numbers(self):
        """Names of the folders that may be a replicate's, in their order."""
        if not self.path.is_dir():
            return []
        with named(self.path, "read"):
            names = [p.name for p in self.path.iterdir() if p.is_dir()]
        return sorted((n for n in names if n.isdecimal()), key=int)

    def _no_run(self, why):
        return RunError(
            f"{self.path / CONFIG} is not the configuration of a run: it "
            f"{why}. Put the run's own back, or take another directory."
        )

    def _text(self, name):
        path = self.path / name
        with named(path, "read"):
            if not path.exists():
                raise RunError(
                    f"{path} is missing: {self.path} is no directory of a "
                    "run, or a damaged one. Name one that `keras-l2o train` "
                    "has made, or put the file back."
                )
            try:
                return path.read_text("utf-8")
            except UnicodeDecodeError as error:
                raise RunError(
                    f"{path} is damaged: it is no text. Put the file back as "
                    "it was, or take a new directory."
                ) from error

    def _write(self, name, text):
        path = self.path / name
        with named(path, "written"):
            whole.write(path, text.encode())


def _uncounted(run):
    """What a run is, in a form in which two descriptions can be compared.

    Keras adds numbers to the names of policies, which differ from process to
    process; they are removed. Arguments get their present names.
    """
    policies = {
        key: _without_counts(to_current(run[key]))
        for key in ("student", "teachers")
        if key in run
    }
    run = {**run, **policies}
    if isinstance(run.get("strategy"), dict):
        run["strategy"] = renamed(run["strategy"], former.ARGUMENTS)
    return run


def _without_counts(value):
    if isinstance(value, dict):
        value = {key: _without_counts(entry) for key, entry in value.items()}
        if isinstance(name := value.get("name"), str):
            value["name"] = re.sub(r"_[0-9]+$", "", name)
    elif isinstance(value, list):
        value = [_without_counts(entry) for entry in value]
    return value


def _difference(old, new, path=""):
    """The first path at which two nests differ, and both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = [(key, old.get(key), new.get(key)) for key in {**old, **new}]
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            return path, old, new
        pairs = [(str(i), *pair) for i, pair in enumerate(zip(old, new))]
    else:
        return None if old == new else (path, old, new)
    for key, *pair in pairs:
        found = _difference(*pair, f"{path}/{key}" if path else key)
        if found:
            return found
    return None
