"""Tables of measured figures, printed on a terminal."""

from rich import box
from rich.console import Console
from rich.table import Table


def print_line(line):
    """Prints a line on stdout, without breaking it and without markup.

    Args:
        line: String.
    """
    Console(soft_wrap=True).print(line, markup=False, highlight=False)


def print_summary(frame):
    """Prints a table for each problem, with a row for each optimizer.

    Args:
        frame: `pandas.DataFrame` as `evaluate` returns, or several of them
            concatenated, with or without a column `replicate`.
    """
    from keras_l2o.evaluation import cells
    from keras_l2o.evaluation import statistics

    if "replicate" not in frame:
        frame = frame.assign(replicate=1)
    for problem, group in frame.groupby("problem", sort=False):
        figures = statistics.figures(group)
        accuracies = figures.groupby("optimizer")["accuracy"].mean()
        table = Table(
            title=problem,
            box=box.SIMPLE_HEAVY,
            caption="log loss: log of a run's best validation loss, mean with "
            "95 % interval; sd: standard deviation between epochs, between "
            "runs, and between replicates",
            pad_edge=False,
        )
        table.add_column("optimizer", overflow="fold", min_width=12)
        for column in (
            "runs", "log loss", "acc.",
            "sd of\nepochs", "sd of\nruns", "sd of\nrepl.",
        ):  # fmt: skip
            table.add_column(column, justify="right", no_wrap=True)
        for row in statistics.summary(figures).itertuples():
            failed = f" ({row.failed} failed)" if row.failed else ""
            table.add_row(
                row.optimizer,
                f"{row.replicates} x {row.runs // row.replicates}{failed}",
                cells.interval(row.mean, row.low, row.high),
                cells.percent(accuracies[row.optimizer]),
                cells.number(row.optimization),
                cells.number(row.evaluation),
                cells.number(row.meta),
            )
        Console().print(table)


def print_search(frame, best):
    """Prints a table with the best learning rate of each rule.

    Args:
        frame: `pandas.DataFrame` as `keras_l2o.evaluation.gridsearch` returns.
        best: Dict from the names of rules to their best rates, floats.
    """
    from keras_l2o.evaluation import cells

    table = Table(title=f"{frame['problem'].iloc[0]}: the best rates")
    table.add_column("rule")
    for column in ("rate", "validation loss", "accuracy"):
        table.add_column(column, justify="right")
    for rule, rate in best.items():
        rows = frame[(frame["rule"] == rule) & (frame["rate"] == rate)]
        table.add_row(
            rule,
            f"{rate:g}",
            cells.number(rows["validation_loss"].mean(), ".4g"),
            cells.percent(rows["validation_accuracy"].mean()),
        )
    Console().print(table)
