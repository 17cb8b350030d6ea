"""Pictures of replicates, perturbations, pools and families.

They need the extra `plots`.
"""

from textwrap import wrap

import numpy as np

from keras_l2o.evaluation import held_out
from keras_l2o.evaluation import reduction
from keras_l2o.evaluation.plots import COLORS
from keras_l2o.evaluation.plots import new_figure

LABELS = {
    "log_validation_loss": "best log validation loss of a run",
    "log_train_loss": "best log train loss of a run",
    "accuracy": "best validation accuracy of a run",
}
#: Ticks of an axis that is linear between -0.1 and 0.1, and logarithmic beyond.
_DISTANCES = (-10, -1, -0.1, -0.05, 0, 0.05, 0.1, 1, 10)


def plot_replicates(figures, path, figure="log_validation_loss"):
    """Draws the figures of runs as dots, replicate by replicate.

    A bar marks the mean of each replicate, and a dotted line that of each
    optimizer.

    Args:
        figures: `pandas.DataFrame` as `statistics.figures` returns, of one
            problem.
        path: Path of the PNG file to write.
        figure: String, the column to draw. Defaults to
            `"log_validation_loss"`.
    """
    optimizers = list(figures.groupby("optimizer", sort=False))
    count = sum(group["replicate"].nunique() for _, group in optimizers)
    picture, axes = new_figure(width=max(6.4, 2.0 + 0.45 * count))
    axis, position, ticks, names = axes[0, 0], 0, [], []
    for index, (optimizer, group) in enumerate(optimizers):
        color = COLORS[index % len(COLORS)]
        start = position
        for replicate, runs in group.groupby("replicate"):
            values = runs[figure].dropna().to_numpy()
            offsets = 0.3 * (np.arange(len(values)) + 0.5) / max(len(values), 1)
            axis.scatter(
                position + offsets - 0.15, values, s=14, color=color, alpha=0.5
            )
            if len(values):
                axis.plot(
                    [position - 0.3, position + 0.3],
                    [values.mean()] * 2,
                    color=color,
                    linewidth=2,
                )
            ticks.append(position)
            names.append(str(replicate))
            position += 1
        axis.plot(
            [start - 0.4, position - 0.6],
            [group[figure].mean()] * 2,
            color=color,
            linestyle=":",
            label=optimizer,
        )
        position += 0.7
    axis.set_xticks(ticks, names)
    axis.set_xlabel("replicate")
    axis.set_ylabel(LABELS.get(figure, figure))
    problems = ", ".join(figures["problem"].unique())
    axis.set_title(f"{problems} (dot: run; bar: replicate; dotted: all)")
    axis.grid(axis="y", alpha=0.25)
    axis.legend(frameon=False)
    picture.savefig(path)


def plot_pool_weights(evaluation, path, smoothing=1):
    """Draws the mean weight of each member of a pool by step and layer.

    Args:
        evaluation: `Evaluation` of a policy with a pool, such as `Choice`, that
            was made with the argument `trace`.
        path: Path of the PNG file to write.
        smoothing: Int. Weights are smoothed by a running mean over this many
            recorded steps. Defaults to `1`, no smoothing.

    Raises:
        ValueError: The evaluation has no weights of a pool.
    """
    arrays = evaluation.arrays
    if "trace_weights" not in arrays:
        raise ValueError(
            "The evaluation has no pool's weights: evaluate a `Choice` policy "
            "with the argument `trace`. Received: an evaluation of "
            f"{evaluation.settings['optimizer']!r}"
        )
    layers = arrays["trace_layers"]
    columns = min(len(layers), 3)
    rows = -(-len(layers) // columns)
    picture, axes = new_figure(columns, rows, width=4.2, height=3.2)
    weights = arrays["trace_weights"]
    seen = ~np.isnan(weights).all(axis=(0, 2, 3))  # until every run diverged
    steps = arrays["trace_steps"][seen]
    weights = np.nanmean(weights[:, seen], axis=0)
    kernel = np.ones(smoothing)
    counts = np.convolve(np.ones(len(steps)), kernel, "same")
    for layer, axis in enumerate(axes.ravel()):
        if layer >= len(layers):
            axis.set_axis_off()
            continue
        smooth = [
            np.convolve(row, kernel, "same") / counts
            for row in weights[:, layer].T
        ]
        axis.stackplot(
            steps,
            smooth,
            labels=arrays["trace_pool"],
            colors=[COLORS[i % len(COLORS)] for i in range(len(smooth))],
            alpha=0.85,
        )
        axis.set_title(f"layer {layers[layer]}")
        axis.set_ylim(0, 1)
        axis.set_xlim(steps[0], max(steps[-1], steps[0] + 1))
        axis.set_xlabel("step")
        axis.set_ylabel("mean weight")
    handles, labels = axes.ravel()[0].get_legend_handles_labels()
    picture.legend(
        handles, labels, loc="outside lower center", ncols=min(len(labels), 6)
    )
    picture.suptitle(
        f"{evaluation.settings['optimizer']} on "
        f"{evaluation.settings['problem']}, mean of {evaluation.runs} runs"
    )
    picture.savefig(path)


def plot_magnitudes(summary, path):
    """Draws the spread between replicates by a perturbation's magnitude.

    One panel shows the standard deviation between replicates, the other their
    mean, both with 95 % intervals.

    Args:
        summary: `pandas.DataFrame` as `statistics.summary` returns, with two
            more columns: `perturbation`, a name, and `magnitude`, a float. The
            magnitude 0, no perturbation, is drawn at the left edge.
        path: Path of the PNG file to write.

    Raises:
        ValueError: No magnitude is positive.
    """
    magnitudes = summary["magnitude"]
    positive = magnitudes[magnitudes > 0]
    if positive.empty:
        raise ValueError(
            "Column `magnitude` of the summary must have a positive value. "
            f"Received: {magnitudes.tolist()}"
        )
    edge = positive.min() / 4
    picture, axes = new_figure(columns=2)
    panels = {
        "standard deviation between replicates": (
            "meta", "meta_low", "meta_high",
        ),
        "mean of the best log validation loss": ("mean", "low", "high"),
    }  # fmt: skip
    for axis, (label, columns) in zip(axes[0], panels.items()):
        column, low, high = columns
        for index, (name, group) in enumerate(
            summary.groupby("perturbation", sort=False)
        ):
            group = group.sort_values("magnitude")
            places = group["magnitude"].where(group["magnitude"] > 0, edge)
            color = COLORS[index % len(COLORS)]
            axis.plot(
                places, group[column], marker="o", color=color, label=name
            )
            known = group[[low, high]].notna().all(axis=1)
            if known.any():  # a single replicate has no spread
                axis.fill_between(
                    places[known],
                    group[low][known],
                    group[high][known],
                    color=color,
                    alpha=0.15,
                    linewidth=0,
                )
        axis.set_xscale("log")
        if (magnitudes == 0).any():
            axis.axvline(edge, color="0.6", linestyle=":", linewidth=1)
            axis.annotate(
                " none",
                (edge, 0.97),
                xycoords=("data", "axes fraction"),
                va="top",
                color="0.4",
            )
        axis.set_xlabel("magnitude of the perturbation")
        axis.set_ylabel(label)
        axis.grid(alpha=0.25)
        axis.legend(frameon=False)
    picture.savefig(path)


def plot_distances(runs, path):
    """Draws how far families are from the oracle, with a panel per problem.

    Args:
        runs: `pandas.DataFrame` as `held_out.distances` returns.
        path: Path of the PNG file to write.
    """
    overview = held_out.overview(runs)
    families = sorted(overview["family"].unique())
    problems = list(overview["problem"].unique())
    columns = min(len(problems), 3)
    rows = -(-len(problems) // columns)
    sentences = (
        "log of the best validation loss minus that of the best tuned rule: "
        "left of the line the family is better",
        "(dot: replicate; diamond: median replicate; bar: 95 % interval of the "
        "mean)",
    )
    # The sentences, wrapped to the width of the panels.
    lines = [line for text in sentences for line in wrap(text, 40 * columns)]
    picture, axes = new_figure(
        columns,
        rows,
        width=4.2,
        height=0.8 + 0.3 * len(families) + 0.2 * len(lines) / rows,
    )
    for axis in axes.ravel()[len(problems) :]:
        axis.set_axis_off()
    for number, (problem, axis) in enumerate(zip(problems, axes.ravel())):
        # On this scale an outlier does not squeeze the others together.
        axis.set_xscale("symlog", linthresh=0.1, linscale=2)
        chosen = runs[runs["problem"] == problem]
        for row in overview[overview["problem"] == problem].itertuples():
            position = families.index(row.family)
            color = COLORS[position % len(COLORS)]
            own = chosen[chosen["optimizer"] == row.family]
            losses = own.groupby("replicate")["log_validation_loss"]
            means = losses.agg(reduction.whole_mean)
            axis.scatter(
                means, [position] * len(means), s=16, color=color, alpha=0.45
            )
            axis.plot(
                [row.low, row.high], [position] * 2, color=color, linewidth=2
            )
            axis.plot(row.median, position, "D", color=color, markersize=6)
        axis.axvline(0.0, color="0.4", linestyle=":", linewidth=1)
        low, high = axis.get_xlim()
        ticks = [tick for tick in _DISTANCES if low <= tick <= high]
        axis.set_xticks(
            ticks, [f"{tick:+g}" if tick else "0" for tick in ticks]
        )
        axis.minorticks_off()
        names = families if number % columns == 0 else []
        axis.set_yticks(range(len(families)), names or [""] * len(families))
        axis.set_ylim(len(families) - 0.5, -0.5)
        axis.set_title(problem)
        axis.grid(axis="x", alpha=0.25)
    picture.suptitle("\n".join(lines))
    picture.savefig(path)
