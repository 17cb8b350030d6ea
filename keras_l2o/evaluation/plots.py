"""Pictures of losses by step. They need the extra `plots`."""

import numpy as np

from keras_l2o import extras

#: Colours that people with most kinds of colour blindness can tell apart: those
#: of Okabe and Ito, with grey instead of yellow, which is pale on white.
COLORS = (
    "#D55E00",
    "#0072B2",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#999999",
)


def new_figure(columns=1, rows=1, width=6.4, height=4.4):
    """Makes a figure with a grid of panels.

    Args:
        columns: Int. Panels beside each other. Defaults to `1`.
        rows: Int. Panels above each other. Defaults to `1`.
        width: Float. Width of a panel in inches. Defaults to `6.4`.
        height: Float. Height of a panel in inches. Defaults to `4.4`.

    Returns:
        A `matplotlib.figure.Figure`, and an array `(rows, columns)` of its
        `matplotlib.axes.Axes`.

    Raises:
        keras_l2o.extras.MissingExtra: matplotlib is not installed.
    """
    extras.need("plots", "A picture")
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(width * columns, height * rows), layout="constrained", dpi=130
    )
    return figure, figure.subplots(rows, columns, squeeze=False)


def plot_curves(panels, path, window=9):
    """Draws training losses by step, with a line and a band per optimizer.

    The line is the geometric mean of the optimizer's runs, and the band reaches
    from the least to the greatest of their losses. Each run is smoothed by a
    running median first.

    Args:
        panels: Dict from the title of a panel to a dict from the name of an
            optimizer to a list of `TrainingRun`, one for each seed.
        path: Path of the PNG file to write.
        window: Int, odd. Steps of the running median. Defaults to `9`.
    """
    figure, axes = new_figure(columns=len(panels))
    for axis, (title, curves) in zip(axes[0], panels.items()):
        for index, (name, runs) in enumerate(curves.items()):
            logs = np.log(np.maximum([run.losses for run in runs], 1e-12))
            smooth = np.array([_running_median(row, window) for row in logs])
            steps = np.arange(1, smooth.shape[1] + 1)
            _line_with_band(axis, steps, smooth, name, index)
        seeds = len(next(iter(curves.values())))
        axis.set_title(f"{title} ({seeds} seeds; band: least to greatest)")
        _finish(axis, "step", "training loss of the batch")
    figure.savefig(path)


def plot_losses(frame, path, column="validation_loss"):
    """Draws losses by step, with a panel per problem and a line per optimizer.

    The line is the geometric mean of the optimizer's runs, and the band reaches
    from the least to the greatest of their losses.

    Args:
        frame: `pandas.DataFrame` as `evaluate` returns, or several of them
            concatenated.
        path: Path of the PNG file to write.
        column: String, `"validation_loss"` or `"train_loss"`. Defaults to
            `"validation_loss"`.
    """
    groups = list(frame.groupby("problem", sort=False))
    figure, axes = new_figure(columns=len(groups))
    for axis, (problem, group) in zip(axes[0], groups):
        for index, (name, runs) in enumerate(
            group.groupby("optimizer", sort=False)
        ):
            keys = [key for key in ("replicate", "run") if key in runs]
            table = runs.set_index([*keys, "step"])[column].unstack("step")
            logs = np.log(np.maximum(table.to_numpy(), 1e-12))
            _line_with_band(axis, table.columns.to_numpy(), logs, name, index)
        axis.set_title(f"{problem} (mean; band: least to greatest run)")
        _finish(axis, "step", column.replace("_", " "))
    figure.savefig(path)


def _line_with_band(axis, steps, logs, name, index):
    """Draws the geometric mean of runs and the range between them.

    Args:
        axis: `matplotlib.axes.Axes`.
        steps: Array `(steps,)`.
        logs: Array `(runs, steps)` of log losses. Runs that are NaN at a step,
            since they have diverged, do not count there. Where all runs are
            NaN, nothing is drawn.
        name: String, the label of the line.
        index: Int, number of the line, from 0, which its color depends on.
    """
    seen = ~np.isnan(logs).all(axis=0)
    steps, logs = np.asarray(steps)[seen], logs[:, seen]
    color = COLORS[index % len(COLORS)]
    axis.plot(
        steps,
        np.exp(np.nanmean(logs, axis=0)),
        color=color,
        label=name,
        linestyle=("-", "--", ":")[index // len(COLORS) % 3],
        linewidth=2.0 if index == 0 else 1.4,
    )
    axis.fill_between(
        steps,
        np.exp(np.nanmin(logs, axis=0)),
        np.exp(np.nanmax(logs, axis=0)),
        color=color,
        alpha=0.15,
        linewidth=0,
    )


def _finish(axis, x_label, y_label):
    axis.set_yscale("log")
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)


def _running_median(row, window):
    """Median over a window around each step, which is shorter at the ends."""
    half = window // 2
    padded = np.pad(row, half, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)
    return np.nanmedian(windows, axis=1)
