"""Tables of the stored runs: python -m benchmarks.unseen.table [--seeds 5]

They are printed, and written into the directory's `README.md`, below its line
`<!-- tables -->`. Only complete cells count: a contender's runs on a task, with
all seeds.
"""

import argparse
import pathlib

import numpy as np

from benchmarks.unseen import figures
from keras_l2o.evaluation import cells as formats
from keras_l2o.evaluation.held_out_tables import markdown
from keras_l2o.files import whole

MARK = "<!-- tables -->"


def tables(directory: pathlib.Path, seeds: int) -> dict[str, list[dict]]:
    """The tables of all numbers of steps, by title.

    Args:
        directory: Path that has a folder for each number of steps.
        seeds: Int. Runs that a cell must have.

    Raises:
        ValueError: No complete cell is stored.
    """
    found = {}
    folders = [f for f in directory.glob("*") if f.name.isdecimal()]
    for folder in sorted(folders, key=lambda folder: int(folder.name)):
        cells = figures.read(folder, seeds)
        if cells:
            title = f"{folder.name} steps, {seeds} seeds"
            found |= of_length(cells, title, int(folder.name))
    if not found:
        raise ValueError(f"{directory} has no cell with {seeds} runs.")
    return found


def of_length(cells, title, steps):
    """The tables of one number of steps.

    Args:
        cells: Dict of dicts of `figures.Cell`, by contender and task.
        title: String, the beginning of each title.
        steps: Int.
    """
    reference = cells.get(figures.REFERENCE, {})
    made = {}
    rows = [
        (name, _against(row, reference, steps)) for name, row in cells.items()
    ]
    rows = [(name, row) for name, row in rows if row]
    rows.sort(key=lambda pair: pair[1]["order"])
    if rows:
        made[f"{title}: over all tasks, of {figures.REFERENCE}"] = [
            {"optimizer": name, **row["texts"]} for name, row in rows
        ]
    duels = [row for name in cells if (row := _duels(name, cells))]
    if duels:
        made[f"{title}: tasks with a lower final loss, and speed-up"] = duels
    made[f"{title}: share of tasks within a factor of the best"] = [
        {
            "optimizer": name,
            "tasks": str(len(cells[name])),
            **{
                f"{factor:g}": f"{share:.2f}"
                for factor, share in zip(figures.FACTORS, shares)
            },
        }
        for name, shares in sorted(
            figures.profile(cells).items(), key=lambda pair: -np.sum(pair[1])
        )
    ]
    names = sorted({task for row in cells.values() for task in row})
    for task in names:
        made[f"{title}: {task}"] = _task(task, cells, reference.get(task))
    return made


def _against(row, reference, steps):
    """A contender's row of the table over all tasks; `None` without any."""
    shared = {task: reference[task] for task in row if task in reference}
    if not shared:
        return None
    logs = {
        figure: {
            task: figures.log_ratios(row[task], other, figure)
            for task, other in shared.items()
        }
        for figure in ("best", "final", "train")
    }
    by_task = {task: values.mean() for task, values in logs["best"].items()}
    ends = {task: values.mean() for task, values in logs["final"].items()}
    worst = max(ends, key=ends.get)
    reached = np.concatenate(
        [figures.reached(row[task], other) for task, other in shared.items()]
    )
    middle = np.quantile(reached, 0.5, method="higher")
    mean, low, high = figures.interval(logs["best"])
    return {
        "order": np.mean(list(by_task.values())),
        "texts": {
            "tasks": f"{len(shared)} of {len(reference)}",
            **{
                f"{figure}, geometric mean": _ratio(
                    np.mean([values.mean() for values in found.values()])
                )
                for figure, found in logs.items()
            },
            "best, interquartile mean": (
                f"{_ratio(mean)} ({_ratio(low)}, {_ratio(high)})"
            ),
            "worst task, final": f"{worst} {_ratio(ends[worst])}",
            "diverged": str(sum(row[task].diverged for task in shared)),
            "got to its end": f"{np.isfinite(reached).mean():.0%}",
            "median steps to it": (
                f"{middle * steps:.0f}" if np.isfinite(middle) else "never"
            ),
        },
    }


def _duels(name, cells):
    """A contender's row of the table against each rival; empty if alone."""
    texts = {}
    for rival in figures.RIVALS:
        shared = cells[name].keys() & cells.get(rival, {}).keys()
        if rival == name or not shared:
            continue
        pairs = {
            task: (cells[name][task], cells[rival][task]) for task in shared
        }
        ahead = sum(
            figures.log_ratios(*pair, "final").mean() < 0
            for pair in pairs.values()
        )
        mean, low, high = figures.interval(
            {task: figures.speed_ups(*pairs[task]) for task in sorted(pairs)}
        )
        texts[rival] = (
            f"{ahead} of {len(shared)}, {mean:.2f} ({low:.2f}, {high:.2f})"
        )
    if not texts:
        return {}
    return {"optimizer": name, **{r: texts.get(r, "") for r in figures.RIVALS}}


def _task(task, cells, reference):
    """The rows of the contenders that have run a task, the best first."""
    rows = []
    having = [(name, row[task]) for name, row in cells.items() if task in row]
    for name, cell in sorted(
        having, key=lambda pair: (np.log(pair[1].best).mean(), pair[0])
    ):
        texts = {"optimizer": name}
        for figure in ("best", "final", "train"):
            texts[f"{figure} loss"] = formats.number(
                float(getattr(cell, figure).mean()), ".4g"
            )
        if reference is not None:
            logs = figures.log_ratios(cell, reference, "best")
            texts["log ratio"] = formats.number(float(logs.mean()), "+.3f")
        texts["diverged"] = str(cell.diverged)
        rows.append(texts)
    return rows


def _ratio(log):
    return formats.number(float(np.exp(log)), ".3f")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=pathlib.Path, default="unseen")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args(arguments)
    text = markdown(tables(given.directory, given.seeds))
    print(text)
    path = given.directory / "README.md"
    head = "# Tasks that no meta-training has seen\n\n"
    if path.exists():
        head = path.read_text().partition(MARK)[0]
    whole.write(path, f"{head}{MARK}\n\n{text}".encode())


if __name__ == "__main__":
    main()
