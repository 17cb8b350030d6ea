"""The commands `publish` and `card`, for optimizers on the Hugging Face Hub."""

import typer

from keras_l2o_commands.declare import declare


def register(application):
    """Adds the commands of this module to an application.

    Args:
        application: `typer.Typer`.
    """
    declare(application, publish)
    declare(application, card)


def publish(
    source: str = typer.Argument(
        help="Folder of an optimizer, of a family or of families, or a "
        "bundled name such as min-max/1 or min-max."
    ),
    target: str = typer.Argument(help="Address: hf://org/repo[/sub/folder]"),
    private: bool = typer.Option(
        False, help="Make the repository private, if it does not exist yet."
    ),
    revision: str = typer.Option(
        None, help="Branch to commit to. Default: main."
    ),
    message: str = typer.Option(None, help="Message of the commit."),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Print what would be sent, and send nothing."
    ),
):
    """Publishes optimizers, with a model card, to the Hugging Face Hub.

    Log in first: hf auth login. A model card that somebody has edited on the
    Hub is not overwritten.

    Example: keras-l2o publish results/mine hf://me/min-max
    """
    import keras_l2o

    made = keras_l2o.publish(
        source, target, private, revision, dry_run, message
    )
    for path, size in made.files.items():
        print(f"{size:>10,}  {path}")
    if made.note:
        print(
            "the repository could not be looked at, so that this is what a new "
            f"one would get: {made.note}"
        )
    if made.card is None:
        print("README.md was edited on the Hub, and is not overwritten")
    if dry_run:
        print(f"dry run: nothing was sent to {made.address}")
        if made.card is not None:
            print(made.card)
    else:
        print(f"published: {made.url}")


def card(
    family: str = typer.Argument(
        None,
        help="Name of a bundled family. Default: every bundled family. The "
        "card of a single replicate, such as min-max/3, is printed instead.",
    ),
    evaluations: str = typer.Option(
        None,
        help="Folder of the family's run directories, such as "
        "results/min-max. Their stored evaluations are added to the card. If "
        "the folder's parent also has what gridsearch and baseline store, as "
        "held_out/ has, the card compares the family with the best tuned rule.",
    ),
    check: bool = typer.Option(
        False,
        "--check",
        help="Write nothing: print which cards are out of date, and fail if "
        "any is.",
    ),
):
    """Writes the model card hub_cards/FAMILY.md from stored measurements.

    Text that was written by hand, between the marks for it in a card, is kept.

    Example: keras-l2o card min-max --evaluations results/min-max
    """
    from keras_l2o.hub import card_files

    if check:
        stale = card_files.stale()
        if stale:
            raise ValueError(
                f"Out of date: {', '.join(stale)}. Run `keras-l2o card` to "
                "write these cards again."
            )
        print("every card is up to date")
        return
    if family and "/" in family:
        if evaluations:
            raise ValueError(
                "Option --evaluations belongs to a whole family. Received: "
                f"the replicate {family!r}"
            )
        print(card_files.card(family), end="")
        return
    if evaluations and not family:
        raise ValueError(
            "Option --evaluations needs the argument FAMILY: name the family "
            "that was evaluated."
        )
    results = None
    if evaluations:
        from keras_l2o import extras

        extras.need("plots", "A picture")
        from keras_l2o.evaluation import card_plots
        from keras_l2o.evaluation import carded
        from keras_l2o.evaluation import collection

        frame = collection.collect([evaluations])
        results = carded.results(frame, evaluations)
        folder = card_files.root() / card_files.FIGURES / family
        card_plots.plot(frame, evaluations, folder / "losses.png")
    for name in [family] if family else card_files.families():
        print(f"wrote {card_files.write(name, results)}")
