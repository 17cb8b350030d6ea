"""The command `results`, which makes tables of stored evaluations."""

import pathlib

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from keras_l2o_commands.declare import declare
from keras_l2o_commands.tables import print_line

DIRECTORY = typer.Option(
    "held_out",
    help="Folder with stored results of evaluate, baseline and gridsearch.",
)

#: The line of the Markdown file after which the tables stand.
MARK = "<!-- tables -->"
#: The family that one of the tables compares with each of the others.
FAMILY = "choice-large"
#: How many replicates the table of the best ones lists.
BEST = 10


def register(application):
    """Adds the command of this module to an application.

    Args:
        application: `typer.Typer`.
    """
    declare(application, results)


def results(
    directory: str = DIRECTORY,
    output: str = typer.Option(
        None, help="Markdown file to write. Default: README.md in the folder."
    ),
):
    """Compares families of replicates with tuned rules, problem by problem.

    It reads the results that are stored in the directory, prints tables of
    them, and writes the tables to a Markdown file. Nothing is trained.

    Example: keras-l2o results --directory=held_out
    """
    from keras_l2o.evaluation import held_out
    from keras_l2o.evaluation import held_out_tables
    from keras_l2o.evaluation import storage

    if not pathlib.Path(directory).is_dir():
        raise ValueError(
            f"There is no folder {directory}. Name one in which the commands "
            "evaluate, baseline and gridsearch have stored results."
        )
    tables = {}
    if held_out.families(directory):
        runs = held_out.distances(directory)
        tables = held_out_tables.overview(held_out.overview(runs))
        best = held_out.ranking(runs).head(BEST)
        tables["The best replicates"] = held_out_tables.ranking(best)
        if FAMILY in runs["optimizer"].unique():
            others = held_out.differences(runs, FAMILY)
            title = f"{FAMILY} less each of the others"
            tables[title] = held_out_tables.differences(others)
    for problem in held_out.problems(directory):
        tables[problem] = held_out_tables.problem(
            held_out.table(directory, problem)
        )
    for title, rows in tables.items():
        _print(title, rows)
    path = pathlib.Path(output or pathlib.Path(directory, "README.md"))
    storage.replace_file(path, _page(path, held_out_tables.markdown(tables)))
    print_line(f"wrote {path}")


def _page(path, tables):
    """The page as bytes: what it has before `MARK`, and the new tables."""
    before = "# Results\n\n"
    if path.is_file():
        text = path.read_text("utf-8")
        before = text.partition(MARK)[0] if MARK in text else before
    return f"{before.rstrip()}\n\n{MARK}\n\n{tables}".encode()


def _print(title, rows):
    table = Table(title=title, box=box.SIMPLE_HEAVY, pad_edge=False)
    # Headings take several lines, which leaves room for the names.
    name, *figures = (heading.replace(" ", "\n") for heading in rows[0])
    table.add_column(name, overflow="fold")
    for heading in figures:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row.values())
    Console().print(table)
