"""Stored evaluations of many runs, put together."""

import json
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from keras_l2o.evaluation import storage
from keras_l2o.evaluation.statistics import figures
from keras_l2o.evaluation.statistics import summary
from keras_l2o.evaluation.statistics import without_seeds
from keras_l2o.typing import Path

if TYPE_CHECKING:
    import pandas

#: Name of the file in a run's directory that holds its configuration.
CONFIG = "config.json"
#: The argument that is a perturbation's magnitude: each kind has one of these.
MAGNITUDES = ("magnitude", "step_size", "noise_stddev", "stddev")


def collect(
    paths: Iterable[Path], problem: str | None = None
) -> "pandas.DataFrame":
    """Reads stored evaluations into one frame.

    Args:
        paths: List of paths, each of a stored evaluation or of a directory
            that holds some, at any depth. If a run's directory has a number
            for its name, such as `results/min-max/3`, the number is taken for
            the replicate, and the name of the folder around it for the
            optimizer's.
        problem: Name of the only problem to read. Defaults to `None`, all.

    Returns:
        A `pandas.DataFrame` as `evaluate` returns, with two more columns:
        `replicate`, and `path`, the run's directory. If several directories
        hold the same replicate of optimizers of one name, their folders are
        added to the names, as in `"min-max in results/old"`.

    Raises:
        ValueError: A path does not exist, or there is no stored evaluation.

    Example:

    >>> frame = keras_l2o.evaluation.collection.collect(
    ...     ["held_out/min-max"], "conv_fmnist")
    >>> frame["replicate"].nunique(), frame["run"].nunique()
    (8, 3)
    """
    import pandas

    frames = []
    for path in _files(paths, problem):
        frame = storage.read(path).frame()
        directory = path.parent.parent
        replicate, optimizer, place = 1, None, directory
        if directory.name.isdigit():
            replicate, optimizer = int(directory.name), directory.parent.name
            place = directory.parent.parent
        frame = frame.assign(
            replicate=replicate, path=str(directory), place=str(place)
        )
        if optimizer:
            frame = frame.assign(optimizer=optimizer)
        frames.append(frame)
    return _told_apart(pandas.concat(frames, ignore_index=True))


def _told_apart(frame):
    """Adds their places to the names of optimizers that share one."""
    keys = ["problem", "optimizer", "replicate"]
    places = frame.groupby(keys)["place"].transform("nunique")
    shared = frame["optimizer"].isin(frame["optimizer"][places > 1])
    names = frame["optimizer"] + " in " + frame["place"]
    frame["optimizer"] = frame["optimizer"].mask(shared, names)
    return frame.drop(columns="place")


def evaluations(
    paths: Iterable[Path], problem: str | None = None
) -> list[storage.Evaluation]:
    """Reads stored evaluations, each as it is.

    Args:
        paths: List of paths, as in `collect`.
        problem: Name of the only problem to read. Defaults to `None`, all.

    Returns:
        List of `Evaluation`.

    Raises:
        ValueError: As in `collect`.

    Example:

    >>> found = keras_l2o.evaluation.collection.evaluations(
    ...     ["held_out/min-max"], "conv_fmnist")
    >>> len(found), found[0].settings["problem"]
    (8, 'conv_fmnist')
    """
    return [storage.read(path) for path in _files(paths, problem)]


def _files(paths, problem):
    pattern = f"evaluations/{problem or '*'}.npz"
    files = []
    for path in map(pathlib.Path, paths):
        if path.is_dir():
            files += sorted(path.rglob(pattern))
        elif path.is_file():
            files.append(path)
        else:
            raise ValueError(f"There is no file or directory {path}.")
    if not files:
        raise ValueError(
            f"There is no {pattern} in {', '.join(map(str, paths))}. `keras-l2o"
            " evaluate` and `keras-l2o baseline` make such files."
        )
    # One path may lie in another.
    return list({file.resolve(): file for file in files}.values())


def by_magnitude(
    paths: Iterable[Path], problem: str | None = None
) -> "pandas.DataFrame":
    """Sums up runs by the perturbation that they were trained with.

    Args:
        paths: List of run directories, or of directories that hold some. The
            perturbation and its magnitude are read from a run's `config.json`.
        problem: Name of the only problem to read. Defaults to `None`, the
            only one there is.

    Returns:
        A `pandas.DataFrame` as `statistics.summary` returns, with a row for
        each perturbation and magnitude, in two more columns, `perturbation`
        and `magnitude`. Runs without a perturbation are the row of magnitude
        0 of each perturbation. If all replicates were run with the same seeds,
        the effect that a seed has on all replicates is subtracted from their
        runs first: it would hide the spread between replicates.

    Raises:
        ValueError: The evaluations are on several problems, or no run was
            trained with a perturbation; or as in `collect`.

    Example:

    >>> import json, pathlib, shutil
    >>> for name, perturbation in (
    ...     ("none", None),
    ...     ("gaussian", {"name": "gaussian",
    ...                   "config": {"noise_stddev": 1e-3}}),
    ... ):
    ...     _ = shutil.copytree("held_out/mean", f"results/{name}")
    ...     run = {"run": {"policy": {"perturbation": perturbation}}}
    ...     _ = pathlib.Path("results", name, "config.json").write_text(
    ...         json.dumps(run))
    >>> frame = keras_l2o.evaluation.collection.by_magnitude(
    ...     ["results"], "conv_fmnist")
    >>> frame[["perturbation", "magnitude", "replicates"]].values.tolist()
    [['gaussian', 0.0, 8], ['gaussian', 0.001, 8]]
    """
    import pandas

    frame = collect(paths, problem)
    if frame["problem"].nunique() > 1:
        raise ValueError(
            "The evaluations are on several problems: name one of "
            f"{', '.join(frame['problem'].unique())}."
        )
    # Each path is a replicate, wherever it lies.
    codes, names = pandas.factorize(frame["path"])
    runs = figures(frame.assign(replicate=codes, optimizer=""))
    runs = without_seeds(runs, "log_validation_loss")
    of_run = names[runs["replicate"]]
    found = {path: _perturbation(path) for path in names}
    rows = []
    for name in sorted({kind for kind, _ in found.values() if kind}):
        chosen = {
            p: m for p, (kind, m) in found.items() if kind in (name, None)
        }
        for magnitude in sorted(set(chosen.values())):
            part = runs[of_run.map(chosen.get) == magnitude]
            rows.append(
                summary(part.assign(optimizer=name)).assign(
                    perturbation=name, magnitude=magnitude
                )
            )
    if not rows:
        raise ValueError(
            "No config.json of the directories names a perturbation under "
            "`policy/perturbation`."
        )
    return pandas.concat(rows, ignore_index=True)


def _perturbation(directory):
    """Name and magnitude of a run's perturbation, or `None` and 0."""
    path = pathlib.Path(directory, CONFIG)
    if not path.is_file() and path.parent.name.isdecimal():
        path = path.parent.parent / CONFIG  # one run trained all replicates
    if not path.is_file():
        return None, 0.0
    run = json.loads(path.read_text("utf-8")).get("run")
    # An optimizer's folder has a file of this name, too.
    found = run["policy"]["perturbation"] if run else None
    if not found:
        return None, 0.0
    for key in MAGNITUDES:
        if key in found["config"]:
            return found["name"], float(found["config"][key])
    raise ValueError(
        f"{path} names the perturbation {found['name']!r} without a "
        f"magnitude: none of {', '.join(MAGNITUDES)}."
    )
