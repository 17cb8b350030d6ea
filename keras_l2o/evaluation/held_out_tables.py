"""Turns the results of `held_out` into the texts of tables.

A table is a list of rows. A row is a dict from the heading of a column to the
text of the cell.
"""

from keras_l2o.evaluation import cells


def overview(frame):
    """The tables of an overview, with a column for each problem.

    Args:
        frame: `pandas.DataFrame` as `held_out.overview` returns.

    Returns:
        Dict from the title of a table to its list of rows.
    """
    titles = {
        "All replicates, and the 95 % interval": lambda row: (
            _with_interval(row)
            + (f", {row['failed']} failed" if row["failed"] else "")
        ),
        "The median replicate": lambda row: cells.number(row["median"], "+.3f"),
        "The best replicate": lambda row: cells.number(row["best"], "+.3f"),
        "The worst replicate": lambda row: cells.number(row["worst"], "+.3f"),
        "Standard deviation between replicates": lambda row: cells.number(
            row["between"], ".3f"
        ),
    }
    return {title: _by_problem(frame, text) for title, text in titles.items()}


def differences(frame):
    """The table of a family's differences from the others.

    Args:
        frame: `pandas.DataFrame` as `held_out.differences` returns.

    Returns:
        List of rows.
    """
    return _by_problem(frame, _with_interval)


def _with_interval(row):
    return cells.interval(row["mean"], row["low"], row["high"], "+.3f")


def _by_problem(frame, text):
    """A table of families by problems; `text` formats a row of the frame."""
    return [
        {
            "family": family,
            **dict.fromkeys(frame["problem"].unique(), ""),
            **{row["problem"]: text(row) for _, row in rows.iterrows()},
        }
        for family, rows in frame.groupby("family", sort=True)
    ]


def ranking(frame):
    """The table of the best replicates.

    Args:
        frame: `pandas.DataFrame` as `held_out.ranking` returns.

    Returns:
        List of rows.
    """
    return [
        {
            "replicate": row.pop("name"),
            **{
                key.replace("distance", "all"): cells.number(x, "+.3f")
                for key, x in row.items()
            },
        }
        for row in frame.to_dict("records")
    ]


def problem(frame):
    """The table of one problem.

    Args:
        frame: `pandas.DataFrame` as `held_out.table` returns.

    Returns:
        List of rows. They have the column speed-up only if the frame has a
        speed-up over Adam.
    """
    rows = [_optimizer(row) for row in frame.to_dict("records")]
    if not any(row["speed-up"] for row in rows):
        for row in rows:
            del row["speed-up"]
    return rows


def _optimizer(row):
    kind = "" if row["kind"] == "rule" else f" ({row['kind']})"
    speed = [row.get(key) for key in ("speed_up", "low", "high")]
    return {
        "optimizer": row["name"] + kind,
        "runs": str(row["runs"]),
        "train loss": cells.number(row["train_loss"], ".4g"),
        "val. loss": cells.number(row["validation_loss"], ".4g"),
        "accuracy": cells.percent(row["accuracy"], missing=""),
        "speed-up": cells.interval(*speed)
        if cells.number(speed[0], missing="")
        else "",
    }


def markdown(tables):
    """Tables as Markdown.

    Args:
        tables: Dict from the title of a table to its list of rows.

    Returns:
        String.
    """
    parts = []
    for title, rows in tables.items():
        lines = [f"### {title}", "", _line(rows[0])]
        lines.append(_line(["---"] + ["---:"] * (len(rows[0]) - 1)))
        lines += [_line(row.values()) for row in rows]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _line(texts):
    return f"| {' | '.join(texts)} |"
