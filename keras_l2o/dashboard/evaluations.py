"""What the page shows of a stored evaluation."""

import pathlib
from typing import Any

import numpy as np

from keras_l2o.dashboard import curves
from keras_l2o.evaluation import storage

#: Most records of the weights of a pool.
RECORDS = 60


def entry(path: pathlib.Path) -> dict[str, Any]:
    """The figures and curves of an evaluation.

    Args:
        path: Path of the `.npz` file.

    Returns:
        Dict that JSON can hold: what the page knows of the problem under
        `group`; `runs` and `diverged`, how many; `best`, `last`, `train` and
        `accuracy`, means over the runs, `None` if one has diverged; `ms`, the
        milliseconds of a step; `validation` and `training`, each a list of
        the median, the least and the greatest of the runs at each point; and
        `pool`, if the weights of one were recorded.

    Raises:
        ValueError: The file is no stored evaluation, or is damaged.
    """
    stored = storage.read(path)
    try:
        return _entry(stored)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{path} is no stored evaluation: {error}") from error


def _entry(stored):
    settings, arrays = stored
    if not stored.runs:
        raise ValueError("It has no run yet.")
    losses = np.asarray(arrays["losses"], "float64")
    steps, per_epoch = settings["steps"], settings["epoch_steps"]
    x, training = curves.thinned(losses, curves.POINTS)
    loss = np.asarray(arrays["validation_loss"], "float64")
    validated = bool(np.isfinite(loss).any())
    epochs = loss.shape[1]
    ends = [min((i + 1) * per_epoch, steps) for i in range(epochs)]
    means = np.stack(
        [losses[:, i * per_epoch : e].mean(axis=1) for i, e in enumerate(ends)],
        axis=1,
    )
    shown = loss if validated else means
    whole = np.isfinite(losses).all(axis=1) & np.isfinite(shown).all(axis=1)

    def mean(values):
        return curves.number(values.mean()) if whole.all() else None

    accuracy = np.asarray(arrays["validation_accuracy"], "float64")
    found = {
        "group": {
            "problem": settings["problem"],
            "dataset": settings.get("dataset"),
            "steps": steps,
            "validated": validated,
            "validation_x": ends,
            "training_x": x.tolist(),
        },
        "settings": {
            key: settings.get(key) for key in ("optimizer", "rule", "rate")
        },
        "runs": stored.runs,
        "diverged": int((~whole).sum()),
        "best": mean(shown.min(axis=1)),
        "last": mean(shown[:, -1]),
        "train": mean(means[:, -1]),
        "accuracy": mean(accuracy.max(axis=1)),
        "ms": _milliseconds(np.asarray(arrays["seconds"]), ends),
        "validation": curves.band(loss) if validated else [],
        "training": curves.band(training),
    }
    if "trace_weights" in arrays:
        pool = _pool(arrays)
        if pool["weights"]:  # at least one run has not diverged
            found["pool"] = pool
    return found


def _milliseconds(seconds, ends):
    """Of a step, the median over runs and epochs but those that compile."""
    by_step = np.asarray(seconds, "float64") / np.diff([0, *ends])
    warm = by_step[:, 2:] if by_step.shape[1] > 3 else by_step[:, -1:]
    warm = warm[np.isfinite(warm)]
    return curves.number(1000 * np.median(warm)) if len(warm) else None


def _pool(arrays):
    """The weights of each member over time, and how layers differ in them."""
    weights = np.asarray(arrays["trace_weights"], "float64")
    every = -(-weights.shape[1] // RECORDS)
    whole = np.isfinite(weights).all(axis=(1, 2, 3))
    # By member, layer and record, the mean over the runs.
    by_member = weights[whole, ::every].mean(axis=0).T if whole.any() else ()
    return {
        "x": [int(step) for step in arrays["trace_steps"][::every]],
        "names": [str(name) for name in arrays["trace_pool"]],
        "layers": len(arrays["trace_layers"]),
        "weights": [
            [
                curves.numbers(layers.mean(axis=0)),
                curves.numbers(layers.min(axis=0)),
                curves.numbers(layers.max(axis=0)),
            ]
            for layers in by_member
        ],
    }
