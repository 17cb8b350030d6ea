"""The commands `list`, `prepare` and `demo`."""

import math

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from keras_l2o_commands.declare import declare


def register(application):
    """Adds the commands of this module to an application.

    Args:
        application: `typer.Typer`.
    """
    declare(application, list_command, name="list")
    declare(application, prepare)
    declare(application, demo)


def list_command():
    """Lists the optimizers that come with the package, and how good they are.

    Example: keras-l2o list
    """
    from keras_l2o.hub import listing

    rows = listing.figures()
    measured = dict.fromkeys(key for row in rows for key in row)
    ending = ".log_loss_from_oracle"
    table = Table(
        title="keras_l2o.from_hub(name)",
        box=box.SIMPLE_HEAVY,
        pad_edge=False,
        padding=0,
        caption="For each problem: log of the best validation loss, minus that "
        "of the best tuned rule. Below zero the optimizer is better. own: log "
        "loss in the validation of its own meta-training. "
        "keras_l2o.available() returns all figures.",
    )
    table.add_column("name", no_wrap=True)
    columns = {"val_log_loss": "own"} | {
        column: column.removesuffix(ending).replace("_", " ")
        for column in measured
        if column.endswith(ending)
    }
    columns = {key: title for key, title in columns.items() if key in measured}
    for title in columns.values():
        # Long names of problems are folded, figures are not.
        table.add_column(title, justify="right", overflow="fold", min_width=5)
    for row in rows:
        table.add_row(
            row["name"], *(_figure(row.get(column)) for column in columns)
        )
    Console().print(table)


def _figure(value):
    return "" if value is None or math.isnan(value) else f"{value:+.2f}"


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
