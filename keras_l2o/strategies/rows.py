"""The rows of summary.csv, one for each finished period."""

import csv
import io
from typing import NamedTuple

from keras_l2o.training.periods import Period

#: Columns of times, which differ whenever the same run is repeated.
TIMES = ("seconds",)


class Row(NamedTuple):
    """A finished period of a run: a row of its `summary.csv`.

    Attributes:
        period: The `Period`.
        validation: Float. The student's log loss in validation after the
            period; lower is better.
        kept: Bool. `False` if the period was rolled back. Defaults to `True`.
        checkpoint: String. Name of the checkpoint of the weights after the
            period, `""` if it was rolled back. Defaults to `""`.
        figures: Dict of floats, the logs of `fit` for the period by their
            names. Defaults to `{}`.
        seconds: Float. How long the period took. Defaults to `0.0`.
        sha256: String. SHA-256 of the checkpoint's file, `""` if the period
            was rolled back or an old version, which stored no digests, has
            written the row. Defaults to `""`.

    Example:

    >>> period = keras_l2o.strategies.Period(
    ...     stage=0, period=0, attempt=0, depth=5, unroll=20, episodes=2,
    ...     warmup=0, imitation_weight=0.5, validation_depth=5, start="")
    >>> keras_l2o.strategies.Row(period, -1.5, checkpoint="0-0-0").kept
    True
    """

    period: Period
    validation: float
    kept: bool = True
    checkpoint: str = ""
    figures: dict = {}
    seconds: float = 0.0
    sha256: str = ""


def dump(rows):
    """The text of summary.csv.

    Args:
        rows: List of `Row`.

    Returns:
        String, with a column for each field of a period and each figure.
    """
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
    """The rows that `dump` has made a text of.

    Args:
        text: String.

    Returns:
        List of `Row`.

    Raises:
        ValueError: The text is not what `dump` returns; the message says
            where, in words that follow `"summary.csv is damaged: "`.
    """
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
