"""Finds the settings of opponents, all of a search's runs side by side."""

import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.unseen import opponents
from benchmarks.unseen.opponents import Setting
from keras_l2o import backend
from keras_l2o import problems
from keras_l2o.evaluation import at_once
from keras_l2o.evaluation import training_run
from keras_l2o.files import whole
from keras_l2o.problems import Problem

#: Seed of the runs of a search, which no test has.
SEED = 1000
#: Validations of a run, whatever its length.
VALIDATIONS = 25
#: The opponent with one setting for all tasks, where such settings are, and the
#: steps of the runs that they are from.
SINGLE = "adamw_cosine"
SINGLES = pathlib.Path(__file__).with_name("single")
SINGLE_STEPS = 2000


def epoch_steps(steps: int) -> int:
    """Steps between two validations of a run of so many."""
    return max(1, steps // VALIDATIONS)


def run_trials(
    problem: Problem, name: str, settings: Sequence[Setting], steps: int
) -> list[training_run.TrainingRun]:
    """Trains with each of the settings, on JAX side by side.

    Args:
        problem: `Problem`.
        name: String, one of `opponents.OPPONENTS`.
        settings: List of `Setting`.
        steps: Int. Steps of each run.

    Returns:
        List of `TrainingRun`.
    """
    every = epoch_steps(steps)
    if not backend.MAPS_TRAINING:
        return [
            training_run.train(
                problem,
                opponents.optimizer(name, setting, steps),
                steps,
                every,
                SEED,
            )
            for setting in settings
        ]
    made = [opponents.with_variables(name, s, steps) for s in settings]
    return at_once.train_at_once(
        problem, made, [SEED] * len(made), steps, every
    )


def tuned(
    problem: Problem,
    name: str,
    steps: int,
    directory: pathlib.Path,
    trials: int = opponents.TRIALS,
) -> Setting:
    """The setting whose run has the best validation loss.

    Args:
        problem: `Problem`, with validation data.
        name: String, one of `opponents.OPPONENTS`.
        steps: Int. Steps of each run.
        directory: Path. The trials are stored in its file
            `search/<name>/<problem>.json`, and not made again.
        trials: Int. How many settings are tried.

    Raises:
        ValueError: Each run diverged; or stored trials are of other data, or
            of other settings.
    """
    path = pathlib.Path(directory, "search", name, f"{problem.name}.json")
    settings = opponents.trials(name, trials)
    what = {
        "steps": steps,
        "seed": SEED,
        "batch_size": problem.batch_size,
        "data_digest": problem.digest(),
        "settings": [list(setting) for setting in settings],
    }
    if path.exists():
        stored = json.loads(path.read_text())
        losses = stored.pop("validation_loss")
        if stored != what:
            raise ValueError(
                f"{path} has trials of other data or settings. Choose another "
                "directory, or remove the file."
            )
    else:
        runs = run_trials(problem, name, settings, steps)
        losses = [_best(run) for run in runs]
        _write(path, {**what, "validation_loss": losses})
    return settings[_least(losses, f"{name} on {problem.name}")]


def _best(run):
    """Least validation loss; `None` for a run that diverged."""
    if run.diverged >= 0 or not np.isfinite(run.validation_loss).all():
        return None
    return float(run.validation_loss.min())


def _least(losses, what):
    finite = [math.inf if loss is None else loss for loss in losses]
    if not min(finite) < math.inf:
        raise ValueError(f"Each trial of {what} diverged.")
    return int(np.argmin(finite))


def single() -> Setting:
    """The one setting for all tasks, which `find_single` has found.

    Raises:
        FileNotFoundError: It has not been searched.
    """
    path = SINGLES / f"{SINGLE}.json"
    if not path.exists():
        raise FileNotFoundError(
            f"There is no {path}. `python -m benchmarks.unseen.run single` "
            "searches the setting."
        )
    return Setting(*json.loads(path.read_text())["setting"])


def find_single(
    name: str = SINGLE,
    names: Sequence[str] = problems.BREADTH,
    steps: int = SINGLE_STEPS,
    trials: int = opponents.TRIALS,
) -> Setting:
    """Finds the setting that is best over the problems of the meta-training.

    On each problem, a setting has the logarithm of its mean training loss over
    the last tenth of the steps, less that of the problem's best setting. The
    setting with the least mean over the problems is stored in `SINGLES`.

    Args:
        name: String, one of `opponents.OPPONENTS`.
        names: List of the names of problems.
        steps: Int. Steps of each run.
        trials: Int. How many settings are tried.

    Raises:
        ValueError: With each setting a run diverged.
    """
    settings = opponents.trials(name, trials)
    table: dict[str, Any] = {}
    for problem in names:
        runs = run_trials(problems.get(problem), name, settings, steps)
        ends = [training_run.end_loss(run, max(1, steps // 10)) for run in runs]
        logs = np.log([end if end > 0 else np.nan for end in ends])
        lead = np.where(np.isnan(logs), np.inf, logs - np.nanmin(logs))
        table[problem] = lead
        print(f"{problem}: {settings[int(np.argmin(lead))]}", flush=True)
    means = np.mean(list(table.values()), axis=0)
    best = settings[_least(means, f"{name} on {', '.join(names)}")]
    _write(
        SINGLES / f"{name}.json",
        {
            "optimizer": name,
            "setting": list(best),
            "steps": steps,
            "problems": list(names),
            "mean_log_ratio": [
                None if math.isinf(mean) else round(float(mean), 4)
                for mean in means
            ],
            "settings": [list(setting) for setting in settings],
        },
    )
    return best


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.write(path, (json.dumps(content, indent=1) + "\n").encode())
