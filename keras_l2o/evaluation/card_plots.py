"""The picture of a family's model card. It needs the extra `plots`."""

import io
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from keras_l2o.evaluation import held_out
from keras_l2o.evaluation.plots import COLORS
from keras_l2o.evaluation.plots import new_figure
from keras_l2o.files import whole
from keras_l2o.typing import Path

if TYPE_CHECKING:
    import pandas

#: Panels beside each other.
COLUMNS = 2
#: A scale with fewer powers of ten than this has ticks between them.
DECADES = 1.5
#: What the distance between such ticks is a power of ten of.
STEPS = (1, 2, 5, 10)
#: Colours of the file, few so that it is small.
PALETTE = 32


def plot(frame: "pandas.DataFrame", directory: Path, path: Path) -> None:
    """Draws a family's validation losses by epoch, with a panel per problem.

    Args:
        frame: `pandas.DataFrame` as `collection.collect` returns.
        directory: Path of the family's folder. If its parent folder has what
            `keras-l2o gridsearch` and `keras-l2o baseline` store, the panels
            have the oracle and Adam, too.
        path: Path of the PNG file to write. Its folder is made if need be.

    Raises:
        keras_l2o.extras.MissingExtra: matplotlib is not installed.
    """
    groups = list(frame.groupby("problem"))
    columns = min(len(groups), COLUMNS)
    rows = -(-len(groups) // columns)
    figure, axes = new_figure(columns, rows, width=4.8, height=3.2)
    for axis in axes.ravel()[len(groups) :]:
        axis.set_axis_off()
    parent = pathlib.Path(directory).resolve().parent
    for (problem, runs), axis in zip(groups, axes.ravel()):
        _replicates(axis, runs)
        rules = held_out.rule_runs(parent, problem)
        for index, (label, own) in enumerate(rules.items(), 1):
            losses = _mean(own, "epoch")
            axis.plot(
                losses.index, losses, color=COLORS[index], label=label,
                linestyle=("--", "-.", ":")[index - 1], linewidth=1.8,
            )  # fmt: skip
        axis.set_title(problem)
        axis.set_xlabel("epoch")
        axis.set_ylabel("validation loss")
        _ticks(axis, sorted(runs["epoch"].unique()))
        axis.legend(frameon=False, fontsize="small")
    whole.write(path, _png(figure))


def _replicates(axis, runs):
    """A thin line for each replicate, and a thick one for the median of them.

    A replicate that diverged has no line, and counts as the worst.
    """
    lines = _mean(runs, "epoch", "replicate").unstack("replicate")
    several = len(lines.columns) > 1
    for index, replicate in enumerate(lines.columns if several else ()):
        axis.plot(
            lines.index, lines[replicate], color=COLORS[0], alpha=0.35,
            label=None if index else "a replicate", linewidth=1.0,
        )  # fmt: skip
    axis.plot(
        lines.index,
        lines.fillna(np.inf).median(axis=1).replace(np.inf, np.nan),
        color=COLORS[0],
        linewidth=2.0,
        label="median of replicates" if several else "the optimizer",
    )


def _mean(runs, *keys):
    """The mean validation loss of runs, NaN where one has diverged."""
    losses = runs.groupby(list(keys))["validation_loss"]
    return losses.agg(lambda values: values.mean(skipna=False))


def _ticks(axis, epochs):
    """Whole epochs below, and losses as plain numbers at the side."""
    from matplotlib import ticker

    axis.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    axis.set_xlim(epochs[0], max(epochs[-1], epochs[0] + 1))
    drawn = np.concatenate([line.get_ydata() for line in axis.lines])
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) and drawn.min() > 0.0:
        axis.set_yscale("log")
        low, high = axis.get_ylim()
        if np.log10(high / low) < DECADES:
            ticks = ticker.MaxNLocator(6, steps=STEPS).tick_values(low, high)
        else:
            powers = np.arange(np.ceil(np.log10(low)), np.log10(high))
            ticks = 10.0 ** powers[:: -(-len(powers) // 6)]
        axis.yaxis.set_major_locator(ticker.FixedLocator(ticks[ticks > 0.0]))
        axis.set_ylim(low, high)
    axis.yaxis.set_major_formatter(ticker.FuncFormatter(lambda y, _: f"{y:g}"))
    axis.yaxis.set_minor_locator(ticker.NullLocator())
    axis.grid(alpha=0.25)


def _png(figure):
    """A figure as the bytes of a small PNG file, the same each time."""
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=80, metadata={"Software": None}, format="png")
    image = (
        Image.open(drawn)
        .convert("RGB")
        .quantize(PALETTE, Image.Quantize.MAXCOVERAGE)
    )
    packed = io.BytesIO()
    image.save(packed, format="PNG", optimize=True)
    return packed.getvalue()
