"""Commands that publish optimizers and write their cards."""

import math
import pathlib

import typer


def register(application):
    """Adds the commands to a typer application."""
    application.command()(publish)
    application.command()(card)


def publish(
    source: str = typer.Argument(
        help="Folder of an optimizer, of a family or of families, or a "
        "bundled name such as min-max/1 or min-max."
    ),
    target: str = typer.Argument(help="hf://org/repo[/sub/folder]"),
    private: bool = typer.Option(
        False, help="Whether a repository that is made is private."
    ),
    revision: str = typer.Option(None, help="Branch. Default: main."),
    message: str = typer.Option(None, help="Of the commit."),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Only say what would be sent."
    ),
):
    """Publishes optimizers, with a model card, to the Hugging Face Hub.

    Log in before: hf auth login. A card that was edited on the Hub stays.

    Example: keras-l2o publish pre-trained/min-max hf://me/min-max
    """
    import keras_l2o

    made = keras_l2o.publish(
        source, target, private, revision, dry_run, message
    )
    for path, size in made.files.items():
        print(f"{size:>10,}  {path}")
    if made.card is None:
        print("README.md was edited in the repository: it is left alone")
    if dry_run:
        print(f"nothing was sent to {made.address}: a dry run")
        if made.card is not None:
            print(made.card)
    else:
        print(f"published: {made.url}")


def card(
    family: str = typer.Argument(None, help="Default: every bundled family."),
    evaluations: str = typer.Option(
        None,
        help="Folder of the family's run directories, such as "
        "results/min-max, whose stored evaluations go into the card. Where "
        "the folder around it has a search of the rules and their runs, as "
        "held_out/ does, so does how far the family is from the best of them.",
    ),
    check: bool = typer.Option(
        False, "--check", help="Only say which cards are out of date."
    ),
):
    """Writes hub_cards/FAMILY.md from what was measured.

    What is written by hand between the marks in a card stays.

    Example: keras-l2o card min-max --evaluations results/min-max
    """
    from keras_l2o.hub import card_files

    if check:
        stale = card_files.stale()
        if stale:
            raise ValueError(
                f"Out of date: {', '.join(stale)}. `keras-l2o card` writes "
                "the cards again."
            )
        print("every card says what the files say")
        return
    if evaluations and not family:
        raise ValueError("Name the family that the evaluations are of.")
    results = None
    if evaluations:
        results = _results(evaluations)
        _plot(evaluations, card_files.root() / card_files.FIGURES / family)
    for name in [family] if family else card_files.families():
        print(f"wrote {card_files.write(name, results)}")


def _results(directory):
    """Means over the runs, by replicate and problem."""
    from keras_l2o.evaluation import collection
    from keras_l2o.evaluation import figures
    from keras_l2o.evaluation import search

    frame = figures(collection.collect([directory]))
    results = {}
    keys = ["replicate", "problem"]
    for (replicate, problem), runs in frame.groupby(keys):
        numbers = runs[["log_validation_loss", "log_train_loss", "accuracy"]]
        results.setdefault(str(replicate), {})[problem] = {
            "runs": len(runs),
            **{
                key: float(value)
                for key, value in numbers.mean().items()
                if math.isfinite(value)  # a function has no accuracy
            },
        }
    around = pathlib.Path(directory).resolve().parent
    problems = frame["problem"].unique()
    if any(search.path_in(around, problem).is_file() for problem in problems):
        _add_distances(results, directory)
    return results


def _add_distances(results, directory):
    """Adds how far replicates, and the family, are from the best rule."""
    from keras_l2o.evaluation import held_out
    from keras_l2o.hub import cards

    path = pathlib.Path(directory).resolve()
    runs = held_out.distances(path.parent, path.name)
    for (replicate, problem), own in runs.groupby(["replicate", "problem"]):
        mean = own["log_validation_loss"].mean(skipna=False)
        if math.isfinite(mean):
            results[str(replicate)][problem]["log_loss_from_oracle"] = float(
                mean
            )
    shown = ("mean", "low", "high", "median", "best", "worst")
    results[cards.FAMILY] = {
        row["problem"]: {
            key: float(row[key]) for key in shown if math.isfinite(row[key])
        }
        for row in held_out.overview(runs).to_dict("records")
    }


def _plot(directory, folder):
    """A picture for each problem: validation losses of the replicates."""
    from matplotlib.figure import Figure

    from keras_l2o.evaluation import collection

    frame = collection.collect([directory])
    folder.mkdir(parents=True, exist_ok=True)
    for problem, runs in frame.groupby("problem"):
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for replicate, lines in runs.groupby("replicate"):
            losses = lines.groupby("epoch")["validation_loss"].mean()
            axes.plot(losses.index, losses, label=f"replicate {replicate}")
        axes.set(
            title=problem,
            xlabel="epoch",
            ylabel="validation loss",
            yscale="log",
        )
        axes.legend()
        path = pathlib.Path(folder, f"{problem}.png")
        figure.savefig(path, dpi=100, metadata={"Software": None})
