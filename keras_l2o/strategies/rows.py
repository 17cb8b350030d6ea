"""The rows of summary.csv, one a finished period."""

import csv
import io
from typing import NamedTuple

from keras_l2o.training.periods import Period

#: Columns that measure the machine, so that they differ from run to run.
TIMES = ("seconds",)


class Row(NamedTuple):
    """A finished period.

    Attributes:
        period: The `Period`.
        validation: Float. The student's log loss; lower is better.
        kept: Bool. `False` for a period that was rolled back.
        checkpoint: String. Name of the weights after it; empty if rolled back.
        figures: Dict of floats, `fit`'s logs of the period.
        seconds: Float.
    """

    period: Period
    validation: float
    kept: bool = True
    checkpoint: str = ""
    figures: dict = {}
    seconds: float = 0.0


def dump(rows):
    """The text of summary.csv."""
    figures = dict.fromkeys(name for row in rows for name in row.figures)
    text = io.StringIO()
    writer = csv.DictWriter(
        text,
        [
            *Period._fields,
            "validation",
            "kept",
            "checkpoint",
            *figures,
            "seconds",
        ],
        lineterminator="\n",
    )
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                **row.period._asdict(),
                "validation": row.validation,
                "kept": row.kept,
                "checkpoint": row.checkpoint,
                **row.figures,
                "seconds": round(row.seconds, 3),
            }
        )
    return text.getvalue()


def parse(text):
    """The rows that `dump` wrote."""
    return [_row(line) for line in csv.DictReader(io.StringIO(text))]


def _row(line):
    kinds = Period.__annotations__
    period = Period(**{name: kinds[name](line.pop(name)) for name in kinds})
    return Row(
        period,
        validation=float(line.pop("validation")),
        kept=line.pop("kept") == "True",
        checkpoint=line.pop("checkpoint"),
        seconds=float(line.pop("seconds")),
        figures={name: float(text) for name, text in line.items() if text},
    )
