import csv
import io
import json
import os
import pathlib
import shutil

from keras_l2o import hub
from keras_l2o.strategies import rows as rows_module

CONFIG = "config.json"
SUMMARY = "summary.csv"
CHECKPOINTS = "checkpoints"
LOGS = "logs"
EVALUATIONS = "evaluations"
OPTIMIZER = "optimizer"
_SUFFIX = ".weights.h5"


class RunDirectory:
    """The files of a run, each written whole, so that a kill loses nothing.

    `config.json` says what the run is, `summary.csv` has a row for each
    finished period and is what a run that is taken up again goes by,
    `checkpoints` holds the weights that are still needed, `logs` a file for
    each period with a row for each outer step, `optimizer` the best student,
    and `evaluations` is for later.

    Args:
        path: Path. Made if it does not exist.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def open(self, config):
        """Makes the folders and puts down the configuration.

        Args:
            config: Dict that JSON can hold. Its entry `"run"` is what the run
                is: if the directory holds a run, it must be the same.
        """
        for name in (CHECKPOINTS, LOGS, EVALUATIONS):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        for scratch in self.path.rglob(".*"):  # what a kill has left
            if scratch.is_dir():
                shutil.rmtree(scratch)
            elif scratch.is_file():
                scratch.unlink()
        config = json.loads(json.dumps(config))
        if (self.path / CONFIG).exists():
            difference = _difference(self.config()["run"], config["run"])
            if difference:
                path, old, new = difference
                raise ValueError(
                    f"Directory {self.path} holds a run of another "
                    f"configuration: {path} is {old!r} there and {new!r} now. "
                    "Take another directory, or the configuration of this one."
                )
        else:
            self._write(CONFIG, json.dumps(config, indent=2) + "\n")

    def config(self):
        """The run's configuration and what made it."""
        return json.loads(self._existing(CONFIG).read_text("utf-8"))

    def rows(self):
        """Rows of the finished periods."""
        if not (self.path / SUMMARY).exists():
            return []
        return rows_module.parse((self.path / SUMMARY).read_text("utf-8"))

    def write_rows(self, rows):
        """Commits: what is not in this file has not happened."""
        self._write(SUMMARY, rows_module.dump(rows))

    def save_checkpoint(self, trainer, name):
        folder = self.path / CHECKPOINTS
        temporary = folder / f".{name}{_SUFFIX}"
        trainer.save_weights(temporary)
        _flush(temporary)
        temporary.replace(folder / f"{name}{_SUFFIX}")

    def load_checkpoint(self, trainer, name):
        path = self._existing(f"{CHECKPOINTS}/{name}{_SUFFIX}")
        trainer.load_weights(path)

    def keep_checkpoints(self, names):
        """Deletes all checkpoints but these."""
        for path in (self.path / CHECKPOINTS).glob(f"*{_SUFFIX}"):
            if path.name.removesuffix(_SUFFIX) not in names:
                path.unlink()

    def write_log(self, name, logs):
        """Writes the logs of a period's outer steps.

        Args:
            name: String.
            logs: List of dicts of the same keys.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, list(logs[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(logs)
        self._write(f"{LOGS}/{name}.csv", text.getvalue())

    def save_optimizer(self, optimizer, metadata, replicate=""):
        """Writes an optimizer, of a family that of one replicate."""
        folder = self.path / str(replicate) / OPTIMIZER
        folder.parent.mkdir(exist_ok=True)
        hub.save(optimizer, folder, metadata, overwrite=True)

    def optimizers(self):
        """The folders of its optimizers, by replicate.

        Returns:
            Dict from `""`, or the replicates' numbers as strings, to paths.
        """
        single = self.path / OPTIMIZER
        if single.is_dir():
            return {"": single}
        folders = self.path.glob(f"*/{OPTIMIZER}")
        found = [f for f in folders if f.parent.name.isdecimal()]
        found.sort(key=lambda folder: int(folder.parent.name))
        return {folder.parent.name: folder for folder in found}

    def checkpoint_of(self, replicate):
        """Which checkpoint a replicate's optimizer is; `None` without one."""
        folder = self.path / str(replicate) / OPTIMIZER
        if not folder.is_dir():
            return None
        return hub.folder.read_metadata(folder).get("checkpoint")

    def _existing(self, name):
        path = self.path / name
        if not path.is_file():
            raise ValueError(
                f"{path} is missing: {self.path} is no directory of a run, "
                "or a damaged one."
            )
        return path

    def _write(self, name, text):
        path = self.path / name
        temporary = path.with_name(f".{path.name}")
        temporary.write_text(text, "utf-8")
        _flush(temporary)
        temporary.replace(path)


def _flush(path):
    """Brings a file to the disk, so that its new name never precedes it."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


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
