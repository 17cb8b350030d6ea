"""The bundled optimizers in a table, to pick one by what it costs and gains."""

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from keras_l2o import extras
from keras_l2o.hub import card_files
from keras_l2o.hub import cards
from keras_l2o.hub import costs
from keras_l2o.hub import folder as folders
from keras_l2o.hub import formats
from keras_l2o.hub import json_files
from keras_l2o.hub import names
from keras_l2o.hub.errors import FormatError
from keras_l2o.hub.revive import policy_from_config

if TYPE_CHECKING:
    import pandas

#: What `best_for` says of a rule that reads how long a training is.
HORIZON = "known lengths"
#: The columns of `available`, in order.
COLUMNS = (
    "name", "family", "student", "state", "cost", "distance", "best_for",
)  # fmt: skip


def available(figures: bool = False) -> "pandas.DataFrame":
    """Lists the optimizers that come with the package, to choose one.

    If in doubt, take `"general"`, which has nothing to set.

    Args:
        figures: Bool. Whether there are columns for all that was measured,
            too. Defaults to `False`.

    Returns:
        A `pandas.DataFrame` with a row for each optimizer. Columns:

        - name: what `from_hub` takes. The name of its family alone is that of
          the family's best replicate.
        - family, the part of the name before the slash.
        - student: the class of its policy.
        - state: numbers that are kept for each parameter of a model, counted.
          Adam keeps 2.
        - cost: arithmetic of a training step, over that of the same step with
          Adam, counted: the multiplications of matrix products, for a dense
          layer of 256 by 256 and batches of 128.
        - distance: natural logarithm of the best validation loss, less that
          of the oracle, the best tuned rule of the problem; mean over the
          problems with images on the model card. Below zero is better. NaN if
          it was not measured, or a run diverged.
        - best_for: the one of these problems on which it has the highest rank,
          and the rank among all that were measured. `"known lengths"` if the
          rule reads how long a training is.

        With `figures`, these follow: replicate; multiplications for each
        parameter and step; those figures that were measured when the optimizer
        was made, such as `val_log_loss`; and those on its model card, which
        are named `problem.figure`.

    Raises:
        HubError: The folder of one of them is damaged.
        MissingExtra: pandas is not installed.

    Example:

    >>> frame = keras_l2o.available()
    >>> frame.columns.tolist()
    ['name', 'family', 'student', 'state', 'cost', 'distance', 'best_for']
    >>> light = frame[frame["state"] <= 4].sort_values("distance")
    >>> light["name"].iloc[0]
    'min-max-compact/7'
    """
    extras.need("evaluation", "keras_l2o.available()")
    import pandas

    rows = choices() if not figures else everything()
    columns = dict.fromkeys([*COLUMNS, *(key for row in rows for key in row)])
    return pandas.DataFrame(rows, columns=list(columns))


def choices() -> list[dict[str, Any]]:
    """The rows of `available`, as a list of dicts."""
    return [{key: row[key] for key in COLUMNS} for row in everything()]


def everything() -> list[dict[str, Any]]:
    """The rows of `available(figures=True)`, as a list of dicts."""
    bundled = names.bundled()
    results = {
        name: card_files.extras(family).results.get(replicate, {})
        for name, (family, replicate) in _parts(bundled).items()
    }
    distances = _distances(results)
    ranks = _ranks(distances)
    rows = []
    known: dict[str, Rule] = {}
    for name, (family, replicate) in _parts(bundled).items():
        contents = folders.read(bundled[name])
        measured = folders.parse_metadata(contents).get("figures", {})
        if not isinstance(measured, dict):
            raise FormatError(
                f"The figures in {bundled[name]} must be an object."
            )
        rule = _rule(contents, known)
        best = [HORIZON] if rule.horizon else []
        best += [ranks[name]] if name in ranks else []
        row = {
            "name": name,
            "family": family,
            "student": rule.student,
            "state": rule.costs.state,
            "cost": rule.costs.cost,
            "distance": _mean(distances[name].values()),
            "best_for": "; ".join(best),
            "replicate": int(replicate),
            "multiplications": rule.costs.multiplications,
        }
        flat = {**_flatten(measured), **_flatten(results[name])}
        rows.append({**row, **flat, **row})
    return rows


class Rule(NamedTuple):
    """What a bundled optimizer's policy tells.

    Attributes:
        student: String, the name of its class.
        horizon: Bool. Whether it reads how long a training is.
        costs: `Costs`.
    """

    student: str
    horizon: bool
    costs: costs.Costs


def _parts(bundled):
    """Dict from names to pairs of family and replicate, strings."""
    return {name: tuple(name.split("/")) for name in bundled}


def _rule(contents, known):
    """The `Rule` in a folder; `known` has those of earlier folders."""
    config = json_files.parse(contents[folders.CONFIG], folders.CONFIG)
    config, _ = formats.read(config)
    # The replicates of a family differ in weights, and at most in names.
    inner = config.get("config")
    unnamed = {**inner, "name": None} if isinstance(inner, dict) else inner
    key = json.dumps({**config, "config": unnamed}, sort_keys=True)
    if key not in known:
        policy = policy_from_config(config)
        known[key] = Rule(
            type(policy).__name__, policy.reads_horizon, costs.of(policy)
        )
    return known[key]


def _distances(results):
    """By name, a dict from problems with images to the distance, or NaN.

    Only these problems have an accuracy. If a run of a replicate has diverged,
    its accuracy and its distance are missing.
    """
    classified = {
        problem
        for problems in results.values()
        for problem, numbers in problems.items()
        if "accuracy" in numbers
    }
    return {
        name: {
            problem: numbers.get(cards.DISTANCE, math.nan)
            for problem, numbers in problems.items()
            if problem in classified
        }
        for name, problems in results.items()
    }


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.fsum(values) / len(values) if values else math.nan


def _ranks(distances):
    """By name, the problem of its highest rank, and that, in words."""
    ranks = {}
    for problem in dict.fromkeys(p for far in distances.values() for p in far):
        ran = {
            n: far[problem] for n, far in distances.items() if problem in far
        }
        sound = [name for name in ran if math.isfinite(ran[name])]
        for rank, name in enumerate(sorted(sound, key=ran.get), 1):
            words = f"{problem} ({rank} of {len(ran)})"
            ranks[name] = min(ranks.get(name, (rank, words)), (rank, words))
    return {name: words for name, (_, words) in ranks.items()}


def _flatten(figures, prefix=""):
    flat = {}
    for key, value in figures.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
