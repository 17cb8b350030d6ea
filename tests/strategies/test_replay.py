"""Rows that a run cannot have left are refused."""

import pytest

from keras_l2o import strategies
from keras_l2o.strategies import RunDirectory
from keras_l2o.strategies import RunError
from keras_l2o.strategies import replay
from keras_l2o.strategies import rows as rows_module
from tests.strategies.test_plans import simulate

PLANS = [
    strategies.Simple(num_periods=5),
    strategies.Repeat(num_periods=5),
    strategies.Curriculum(num_stages=2, num_periods=2, num_chances=2),
]
LOSSES = [-1.0, -2.0, -0.1, -2.5, -3.0, -2.9]

plans = pytest.mark.parametrize("plan", PLANS, ids=lambda p: type(p).__name__)


@plans
def test_rows_as_they_were_left_pass(plan):
    rows = simulate(plan, LOSSES)
    for count in range(len(rows) + 1):
        replay.check(rows[:count], plan, "summary.csv")


@plans
@pytest.mark.parametrize("change", ["removed", "doubled", "swapped", "added"])
def test_rows_in_another_order_are_refused(plan, change):
    rows = simulate(plan, LOSSES)
    for index in range(len(rows) - 1):
        changed = list(rows)
        if change == "removed":
            del changed[index]
        elif change == "doubled":
            changed.insert(index, rows[index])
        elif change == "added":
            changed.append(rows[index])
        else:
            changed[index : index + 2] = changed[index : index + 2][::-1]
        with pytest.raises(RunError, match="is not as the run"):
            replay.check(changed, plan, "summary.csv")


@plans
def test_rows_that_say_something_else_are_refused(plan):
    rows = simulate(plan, LOSSES)
    for changed in (
        rows[1]._replace(kept=not rows[1].kept),
        rows[1]._replace(checkpoint="0-0-0"),
        rows[1]._replace(period=rows[1].period._replace(depth=77)),
        rows[1]._replace(period=rows[1].period._replace(start="")),
    ):
        with pytest.raises(RunError, match="period 2 of it has"):
            replay.check([rows[0], changed, *rows[2:]], plan, "summary.csv")


@pytest.fixture
def summary(tmp_path):
    directory = RunDirectory(tmp_path)
    rows = simulate(PLANS[1], LOSSES)
    rows = [
        row._replace(figures={"loss": 0.5}, sha256="0" * 64) for row in rows
    ]
    directory.write_rows(rows)
    assert directory.rows() == rows
    return tmp_path / "summary.csv"


def test_a_summary_cut_anywhere_is_refused_or_has_whole_rows(summary):
    text = summary.read_text()
    whole = rows_module.parse(text)
    for length in range(len(text)):
        summary.write_text(text[:length])
        if text[:length].endswith("\n") and text.count("\n", 0, length) > 1:
            rows = RunDirectory(summary.parent).rows()
            assert rows == whole[: len(rows)]
            continue
        with pytest.raises(
            RunError, match=r"summary\.csv is damaged: .*\. Put"
        ):
            RunDirectory(summary.parent).rows()


@pytest.mark.parametrize("damage", [b"", b"\xff\n", b"a\n1\n", b"\0\0\0\n"])
def test_a_summary_that_is_none_is_refused(damage, summary):
    summary.write_bytes(damage)
    with pytest.raises(RunError, match=r"summary\.csv is damaged"):
        RunDirectory(summary.parent).rows()


def test_a_summary_of_a_time_without_digests_is_read(summary):
    rows = rows_module.parse(summary.read_text())
    rows = [row._replace(sha256="") for row in rows]
    lines = [line.split(",") for line in rows_module.dump(rows).splitlines()]
    column = lines[0].index("sha256")
    text = "".join(
        ",".join(line[:column] + line[column + 1 :]) + "\n" for line in lines
    )
    assert rows_module.parse(text) == rows
