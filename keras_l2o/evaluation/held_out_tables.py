"""What `held_out` found, as texts: lists of dicts from a heading to a cell."""

from keras_l2o.evaluation import cells


def overview(frame):
    """A `held_out.overview`: rows by the title of each of its tables."""
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
    """Rows of `held_out.differences`."""
    return _by_problem(frame, _with_interval)


def _with_interval(row):
    return cells.interval(row["mean"], row["low"], row["high"], "+.3f")


def _by_problem(frame, text):
    """A row for each family, a column for each problem."""
    return [
        {
            "family": family,
            **dict.fromkeys(frame["problem"].unique(), ""),
            **{row["problem"]: text(row) for _, row in rows.iterrows()},
        }
        for family, rows in frame.groupby("family", sort=True)
    ]


def ranking(frame):
    """Rows of a `held_out.ranking`."""
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
    """Rows of a `held_out.table`; without Adam there is no speed-up."""
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
        tables: Dict from a title to rows.
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
