"""Reduces the epochs of a run to a few figures, such as its best loss.

Everything that compares runs uses the functions here, and so shares these
rules:

- A run has diverged if the loss of a batch is not finite or if the problem has
  validation data and the validation loss after an epoch is not finite.
- A run that has diverged counts as failed. All its figures are NaN, even if
  early epochs were good.
- Where optimizers, rates or replicates are ranked by a mean loss over runs, one
  failed run makes the mean infinite.
- Where a mean is over the runs that did not fail, the number of failed runs is
  given beside it.
"""

import numpy as np


def _of_run(run):
    """The figures of a run, a dict of floats; see `of_runs`."""
    run = run.sort_values("epoch")
    figures = {
        "train_loss": run["train_loss"].iloc[-1],
        "best_train_loss": run["train_loss"].min(),
        "validation_loss": run["validation_loss"].min(),
        "accuracy": run["validation_accuracy"].max(),
    }
    if diverged(run):
        return dict.fromkeys(figures, float("nan"))
    return {name: float(value) for name, value in figures.items()}


def diverged(run):
    """Whether a run has diverged.

    Args:
        run: `pandas.DataFrame` as `evaluate` returns, the rows of one run.

    Returns:
        Bool.
    """
    validation = run["validation_loss"]
    whole = np.isfinite(run["train_loss"]).all()
    return not (
        whole and (validation.isna().all() or np.isfinite(validation).all())
    )


def of_runs(frame, keys):
    """The figures of each run of a frame.

    Args:
        frame: `pandas.DataFrame` as `evaluate` returns, of several runs.
        keys: List of strings, the columns that tell the runs apart.

    Returns:
        A `pandas.DataFrame` with a row for each run: the keys; seed; train_loss
        after the last epoch; best_train_loss, validation_loss and accuracy, the
        best of any epoch. A figure that the problem does not have is NaN, and
        so are all figures of a run that has diverged.
    """
    import pandas

    return pandas.DataFrame(
        [
            {
                **dict(zip(keys, key)),
                "seed": run["seed"].iloc[0],
                **_of_run(run),
            }
            for key, run in frame.groupby(keys, sort=False)
        ]
    )


def whole_mean(figures):
    """Mean of the figures of runs for display: NaN if one run has failed.

    Args:
        figures: `pandas.Series` of floats, one for each run; NaN of those that
            have failed.

    Returns:
        Float.
    """
    return figures.mean(skipna=False)


def compared_mean(losses):
    """Mean of the losses of runs for ranking: infinite if one run has failed.

    Args:
        losses: `pandas.Series` of floats, one for each run; NaN of those that
            have failed.

    Returns:
        Float.
    """
    return whole_mean(losses.fillna(np.inf))
