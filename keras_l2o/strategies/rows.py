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
        sha256: String. Digest of the checkpoint; empty if it was rolled back,
            or if the run is of a time when digests were not kept.
    """

    period: Period
    validation: float
    kept: bool = True
    checkpoint: str = ""
    figures: dict = {}
    seconds: float = 0.0
    sha256: str = ""


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
            "sha256",
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
                "sha256": row.sha256,
                **row.figures,
                "seconds": round(row.seconds, 3),
            }
        )
    return text.getvalue()


def parse(text):
    """The rows that `dump` wrote. A `ValueError` says what they are not."""
    if not text.endswith("\n"):
        raise ValueError("its last line is cut off")
    rows = []
    for number, line in enumerate(csv.DictReader(io.StringIO(text)), 1):
        try:
            rows.append(_row(line))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"period {number} of it is not whole") from error
    return rows


def _row(line):
    kinds = Period.__annotations__
    period = Period(**{name: kinds[name](line.pop(name)) for name in kinds})
    return Row(
        period,
        validation=float(line.pop("validation")),
        kept={"True": True, "False": False}[line.pop("kept")],
        checkpoint=line.pop("checkpoint"),
        sha256=line.pop("sha256", ""),
        seconds=float(line.pop("seconds")),
        figures={name: float(text) for name, text in line.items() if text},
    )
