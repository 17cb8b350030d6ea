"""What one run comes to: the one place where its epochs become figures.

A run diverged if the loss of a batch is not finite or, of a problem with
validation data, the validation loss after an epoch. A run that diverged has
no figure: each is NaN, whatever it was before. It counts as failed. Where
optimizers, rates or replicates are compared or ranked by means over runs, one
failed run makes the mean infinitely bad; a mean over the runs that did not
fail stands beside the number of those that did.
"""

import numpy as np


def _of_run(run):
    """The figures of a run.

    Args:
        run: `pandas.DataFrame` as `evaluate` returns, the rows of one run.

    Returns:
        Dict of floats: train_loss, of the last epoch; best_train_loss,
        validation_loss and accuracy, the best of any epoch. NaN where the
        problem has no such figure, and all of them if the run diverged.
    """
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
    """Whether a run diverged; takes what `_of_run` takes."""
    validation = run["validation_loss"]
    whole = np.isfinite(run["train_loss"]).all()
    return not (
        whole and (validation.isna().all() or np.isfinite(validation).all())
    )


def of_runs(frame, keys):
    """The figures of each run of a frame.

    Args:
        frame: `pandas.DataFrame` as `evaluate` returns, of several runs.
        keys: List of the columns that tell the runs apart.

    Returns:
        A `pandas.DataFrame` with a row for each run: the keys; seed;
        train_loss, of the last epoch; best_train_loss, validation_loss and
        accuracy, the best of any epoch. NaN where the problem has no such
        figure, and all of them if the run diverged.
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
    """Mean of the runs' figures, to be shown: NaN if one has failed.

    Args:
        figures: `pandas.Series`.
    """
    return figures.mean(skipna=False)


def compared_mean(losses):
    """Mean of the runs' losses, to rank by: infinite if one has failed.

    Args:
        losses: `pandas.Series`.
    """
    return whole_mean(losses.fillna(np.inf))
