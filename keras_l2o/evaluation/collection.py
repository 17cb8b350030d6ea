"""Stored evaluations of many runs, put together."""

import json
import pathlib

from keras_l2o.evaluation import storage
from keras_l2o.evaluation.statistics import figures
from keras_l2o.evaluation.statistics import summary
from keras_l2o.evaluation.statistics import without_seeds

CONFIG = "config.json"
#: What the settings of a perturbation call its magnitude.
MAGNITUDES = ("magnitude", "step_size", "noise_stddev", "stddev")


def collect(paths, problem=None):
    """Reads stored evaluations into one frame.

    Args:
        paths: List of paths: stored evaluations, or directories with such in
            them at any depth. Of a directory whose name is a number, such as
            `results/min-max/3`, the number is the replicate, and the name
            before it the optimizer.
        problem: Name of the only problem to read. Defaults to all.

    Returns:
        A `pandas.DataFrame` as `evaluate` returns, with a column `replicate`
        and one `path`, the directory that the evaluation is of. Where several
        directories have the same replicate of an optimizer of the same name,
        the name says which it is of, such as `"min-max in results/old"`.
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
    """Names optimizers by their places, where one name stands for several."""
    keys = ["problem", "optimizer", "replicate"]
    places = frame.groupby(keys)["place"].transform("nunique")
    shared = frame["optimizer"].isin(frame["optimizer"][places > 1])
    names = frame["optimizer"] + " in " + frame["place"]
    frame["optimizer"] = frame["optimizer"].mask(shared, names)
    return frame.drop(columns="place")


def evaluations(paths, problem=None):
    """The stored evaluations themselves, a list; takes what `collect` does."""
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
    # Paths may hold one another.
    return list({file.resolve(): file for file in files}.values())


def by_magnitude(paths, problem=None):
    """Sums up runs by the perturbation that they were trained with.

    Args:
        paths, problem: As in `collect`. Run directories, whose `config.json`
            names the perturbation and its magnitude.

    Returns:
        A `pandas.DataFrame` as `statistics.summary` returns, a row for each
        perturbation and magnitude, named in columns of these names. Runs
        without a perturbation have magnitude 0, beside each of the others.
        Where all replicates have the same seeds, what each seed does to all of
        them is taken off: it would hide the spread between replicates.
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
    paths = names[runs["replicate"]]
    found = {path: _perturbation(path) for path in names}
    rows = []
    for name in sorted({kind for kind, _ in found.values() if kind}):
        chosen = {
            p: m for p, (kind, m) in found.items() if kind in (name, None)
        }
        for magnitude in sorted(set(chosen.values())):
            part = runs[paths.map(chosen.get) == magnitude]
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
    """Name and magnitude of a run's perturbation; `None` and 0 without one."""
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
