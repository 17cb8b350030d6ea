"""What `held_out` found, as texts: lists of dicts from a heading to a cell."""

import numpy as np


def overview(frame):
    """A `held_out.overview`: rows by the title of each of its tables."""
    titles = {
        "All replicates, and the 95 % interval": lambda row: (
            _with_interval(row)
            + (f", {row['failed']} failed" if row["failed"] else "")
        ),
        "The median replicate": lambda row: f"{row['median']:+.3f}",
        "The best replicate": lambda row: f"{row['best']:+.3f}",
        "The worst replicate": lambda row: f"{row['worst']:+.3f}",
        "Standard deviation between replicates": lambda row: (
            f"{row['between']:.3f}"
        ),
    }
    return {title: _by_problem(frame, text) for title, text in titles.items()}


def differences(frame):
    """Rows of `held_out.differences`."""
    return _by_problem(frame, _with_interval)


def _with_interval(row):
    return f"{row['mean']:+.3f} ({row['low']:+.3f}, {row['high']:+.3f})"


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
                key.replace("distance", "all"): f"{x:+.3f}"
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
    accuracy, speed = row["accuracy"], row.get("speed_up", np.nan)
    return {
        "optimizer": row["name"] + kind,
        "runs": str(row["runs"]),
        "train loss": f"{row['train_loss']:.4g}",
        "val. loss": f"{row['validation_loss']:.4g}",
        "accuracy": "" if np.isnan(accuracy) else f"{100 * accuracy:.1f} %",
        "speed-up": ""
        if np.isnan(speed)
        else f"{speed:.2f} ({row['low']:.2f}, {row['high']:.2f})",
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
