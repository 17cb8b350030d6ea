"""The command `plot`, which draws pictures of stored evaluations."""

import enum
import pathlib

import typer

from keras_l2o_commands.declare import declare
from keras_l2o_commands.tables import print_line
from keras_l2o_commands.tables import print_summary


class Picture(enum.StrEnum):
    """The pictures that `plot` can draw."""

    losses = "losses"
    replicates = "replicates"
    pool = "pool"
    magnitudes = "magnitudes"
    distances = "distances"


PICTURE = typer.Argument(
    help="Which picture to draw. losses: validation loss by step. replicates: "
    "each run, replicate by replicate. pool: weights of the pool of a choice "
    "policy. magnitudes: spread between replicates by magnitude of the "
    "perturbation. distances: families compared with the best tuned rule."
)
PATHS = typer.Argument(
    help="Run directories, folders that contain run directories, or .npz files."
)


def register(application):
    """Adds the command of this module to an application.

    Args:
        application: `typer.Typer`.
    """
    declare(application, plot)


def plot(
    picture: Picture = PICTURE,
    paths: list[str] = PATHS,
    output: str = typer.Option("plot.png", help="File to write."),
    problem: str = typer.Option(
        None, help="Draw this problem only. Default: all."
    ),
):
    """Draws a picture of stored evaluations, and prints a summary of them.

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
                "No evaluation there has the weights of a pool. Evaluate a "
                "choice policy with `keras-l2o evaluate --trace=10`."
            )
    elif picture is Picture.magnitudes:
        summary = collection.by_magnitude(paths, problem)
        spread_plots.plot_magnitudes(summary, output)
    elif picture is Picture.distances:
        if len(paths) > 1:
            raise ValueError(
                "The picture of distances needs one directory, such as "
                f"held_out. Received: {', '.join(paths)}"
            )
        runs = held_out.distances(paths[0])
        if problem is not None:
            known = ", ".join(runs["problem"].unique())
            runs = runs[runs["problem"] == problem]
            if runs.empty:
                raise ValueError(
                    f"No family was evaluated on {problem!r}. Known: {known}"
                )
        spread_plots.plot_distances(runs, output)
    else:
        frame = collection.collect(paths, problem)
        if picture is Picture.losses:
            plots.plot_losses(frame, output)
        elif frame["problem"].nunique() > 1:
            raise ValueError(
                "The picture of replicates needs one problem. Give --problem, "
                f"one of {', '.join(frame['problem'].unique())}."
            )
        else:
            spread_plots.plot_replicates(statistics.figures(frame), output)
        print_summary(frame)
    print_line(f"picture: {output}")
