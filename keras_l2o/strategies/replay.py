import math

from keras_l2o.strategies.errors import RunError


def name_of(period):
    """The name of a period in files: its stage, number and attempt."""
    return f"{period.stage}-{period.period}-{period.attempt}"


def check(rows, strategy, path):
    """Refuses rows that a run of this strategy cannot have written.

    What a strategy plans next is a function of the rows before, so each row
    must be the one that the strategy plans after those before it.

    Args:
        rows: List of `Row`.
        strategy: The `Strategy`.
        path: Path of the file that the rows are from, for the error.

    Raises:
        RunError: A row is not what the strategy plans.
    """
    for index, row in enumerate(rows):
        before = rows[:index]
        planned = strategy.next(before)
        if planned is None:
            _fail(path, index, "comes after the last")
        for field, there, due in zip(row.period._fields, row.period, planned):
            if not _agree(there, due):
                _fail(
                    path, index, f"has {field} {there!r} where {due!r} is due"
                )
        kept = strategy.keeps(before, row.validation)
        if row.kept != kept:
            _fail(path, index, f"has kept {row.kept} where {kept} is due")
        name = name_of(row.period) if kept else ""
        if row.checkpoint != name:
            _fail(
                path,
                index,
                f"has checkpoint {row.checkpoint!r} where {name!r} is due",
            )


def _agree(one, other):
    """Whether two values of a plan are the same, up to a machine's rounding."""
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-5)
    return one == other


def _fail(path, index, what):
    raise RunError(
        f"{path} is not as the run has written it: period {index + 1} of it "
        f"{what}. Put the file back, or take a new directory."
    )
