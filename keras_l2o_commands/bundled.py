"""The commands `list`, `prepare` and `demo`."""

import enum
import math
import re

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from keras_l2o_commands.declare import declare

#: Columns that the longest line of the list takes.
WIDTH = 80
NOTES = (
    "*: what the family's name alone stands for. state: numbers kept for each "
    "parameter. cost: arithmetic of a training step over that with Adam, for a "
    "dense layer of 256 by 256, batches of 128. distance: log of the best "
    "validation loss less that of the best tuned rule, mean over the problems "
    "with images of its card; below zero is better. best for: the problem of "
    "its highest rank; known lengths: it reads how long a training is. "
    "keras_l2o.available(figures=True) returns all figures."
)


class Column(enum.StrEnum):
    """The columns that the list can be sorted by."""

    name = "name"
    state = "state"
    cost = "cost"
    distance = "distance"


SORT = typer.Option("name", help="Column to sort by, the least first.")
FAMILY = typer.Option(
    [], help="List this family only. Can be given several times."
)
STUDENT = typer.Option(
    [], help="List this student only, such as FeatureMLP. Can be repeated."
)


def register(application):
    """Adds the commands of this module to an application.

    Args:
        application: `typer.Typer`.
    """
    declare(application, list_command, name="list")
    declare(application, prepare)
    declare(application, demo)


def list_command(
    sort: Column = SORT,
    family: list[str] = FAMILY,
    student: list[str] = STUDENT,
    state: float = typer.Option(
        math.inf,
        show_default="no bound",
        help="List those that keep at most so many numbers for a parameter.",
    ),
    best: bool = typer.Option(
        False, "--best", help="List the best replicate of each family only."
    ),
):
    """Lists the optimizers that come with the package, to choose one.

    Example: keras-l2o list --best --state=4 --sort=distance
    """
    from keras_l2o.hub import listing
    from keras_l2o.hub import names

    rows = listing.choices()
    _check("--family", family, [row["family"] for row in rows])
    _check("--student", student, [row["student"] for row in rows])
    marked = {names.best(name) for name in {row["family"] for row in rows}}
    rows = [
        row
        for row in rows
        if (not family or row["family"] in family)
        and (not student or row["student"] in student)
        and row["state"] <= state
        and (not best or row["name"] in marked)
    ]
    # Sorting is stable, so that equals stay in the order of names.
    rows.sort(key=lambda row: _key(row[sort.value]) if sort != "name" else 0)
    table = Table(
        title=f'if in doubt: keras_l2o.from_hub("{names.RECOMMENDED}")',
        box=box.SIMPLE_HEAVY,
        pad_edge=False,
        padding=0,
        caption=NOTES,
        caption_justify="left",
    )
    table.add_column("name", no_wrap=True)
    table.add_column("student", no_wrap=True)
    for title in ("state", "cost", "distance"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("best for", no_wrap=True)
    for row in rows:
        table.add_row(
            row["name"] + " *" * (row["name"] in marked),
            row["student"],
            f"{row['state']:g}",
            f"{row['cost']:.1f}",
            "" if math.isnan(row["distance"]) else f"{row['distance']:+.3f}",
            re.sub(r" \((\d+) of \d+\)", r" #\1", row["best_for"]),
        )
    # Nothing is cut off where a terminal is narrower: it folds the lines.
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)


def _check(option, values, known):
    """Refuses values of an option that no bundled optimizer has."""
    for value in values:
        if value not in known:
            raise ValueError(
                f"Option {option} must be one of "
                f"{', '.join(dict.fromkeys(known))}. Received: {value!r}"
            )


def _key(value):
    return math.inf if math.isnan(value) else value


def prepare(
    dataset: str = typer.Argument(
        help="Name of the data set. Only fashion_mnist can be prepared."
    ),
    source: str = typer.Option(
        "/usr/share/datasets/fashion-mnist",
        help="Folder with the four .gz files of Fashion-MNIST, as Debian's "
        "package dataset-fashion-mnist installs them.",
    ),
    data_dir: str = typer.Option(
        None,
        help="Folder of TensorFlow Datasets. Default: that of the environment "
        "variable TFDS_DATA_DIR, or else ~/tensorflow_datasets.",
    ),
):
    """Prepares a data set from files on disk, without network access.

    Example: keras-l2o prepare fashion_mnist
    """
    if dataset != "fashion_mnist":
        raise ValueError(
            "Only fashion_mnist can be prepared from files on disk. For other "
            f"sets there is `tfds build {dataset}`. Received: {dataset!r}"
        )
    from keras_l2o.problems import fashion_mnist

    print(f"prepared in {fashion_mnist.prepare(source, data_dir)}")


def demo(
    output: str = typer.Option(
        "demo", help="Folder for the picture and the distilled optimizer."
    ),
    quick: bool = typer.Option(False, help="Take only a few steps of each."),
):
    """Compares a learned optimizer with Adam, and distils a small one.

    Example: keras-l2o demo
    """
    import keras_l2o.demo

    keras_l2o.demo.main(output, quick)
