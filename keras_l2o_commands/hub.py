"""Commands that publish optimizers and write their cards."""

import typer

from keras_l2o_commands.declare import declare


def register(application):
    """Adds the commands to a typer application."""
    declare(application, publish)
    declare(application, card)


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
    if made.note:
        print(f"as to a new repository, which was not looked at: {made.note}")
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
        from keras_l2o import extras

        extras.need("plots", "A picture")
        from keras_l2o.evaluation import carded
        from keras_l2o.evaluation import collection

        frame = collection.collect([evaluations])
        results = carded.results(frame, evaluations)
        carded.plot(frame, card_files.root() / card_files.FIGURES / family)
    for name in [family] if family else card_files.families():
        print(f"wrote {card_files.write(name, results)}")
