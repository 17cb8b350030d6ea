"""The command that draws stored evaluations."""

import enum
import pathlib

import typer

from keras_l2o_commands.declare import declare
from keras_l2o_commands.tables import print_line
from keras_l2o_commands.tables import print_summary


class Picture(enum.StrEnum):
    """What is drawn."""

    losses = "losses"
    replicates = "replicates"
    pool = "pool"
    magnitudes = "magnitudes"
    distances = "distances"


PICTURE = typer.Argument(help="What to draw.")
PATHS = typer.Argument(
    help="Run directories, or directories of such, or .npz files."
)


def register(application):
    """Adds the command to a `typer.Typer`."""
    declare(application, plot)


def plot(
    picture: Picture = PICTURE,
    paths: list[str] = PATHS,
    output: str = typer.Option("plot.png", help="Where the picture goes."),
    problem: str = typer.Option(None, help="Only this problem."),
):
    """Draws stored evaluations, and prints what they say together.

    Example: keras-l2o plot losses results/rnnprop results/baseline
    --output=losses.png
    """
    from keras_l2o import extras

    extras.need("plots", "A picture")
    from keras_l2o.evaluation import collection
    from keras_l2o.evaluation import held_out
    from keras_l2o.evaluation import plots
    from keras_l2o.evaluation import spread_plots
    from keras_l2o.evaluation import statistics

    pathlib.Path(output).parent.mkdir(parents=True, exist_ok=True)
    if picture is Picture.pool:
        for stored in collection.evaluations(paths, problem):
            if "trace_weights" in stored.arrays:
                spread_plots.plot_pool_weights(stored, output)
                break
        else:
            raise ValueError(
                "No evaluation there has a pool's weights: evaluate a choice "
                "with --trace."
            )
    elif picture is Picture.magnitudes:
        summary = collection.by_magnitude(paths, problem)
        spread_plots.plot_magnitudes(summary, output)
    elif picture is Picture.distances:
        if len(paths) > 1:
            raise ValueError(
                "Distances are drawn of one directory, such as held_out. "
                f"Received: {', '.join(paths)}"
            )
        runs = held_out.distances(paths[0])
        if problem is not None:
            known = ", ".join(runs["problem"].unique())
            runs = runs[runs["problem"] == problem]
            if runs.empty:
                raise ValueError(
                    f"No family was compared on {problem!r}. Known: {known}"
                )
        spread_plots.plot_distances(runs, output)
    else:
        frame = collection.collect(paths, problem)
        if picture is Picture.losses:
            plots.plot_losses(frame, output)
        elif frame["problem"].nunique() > 1:
            raise ValueError(
                "Replicates are drawn on one problem: give --problem, one of "
                f"{', '.join(frame['problem'].unique())}."
            )
        else:
            spread_plots.plot_replicates(statistics.figures(frame), output)
        print_summary(frame)
    print_line(f"picture: {output}")
