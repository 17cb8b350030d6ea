"""Figures as texts, for the cells of tables."""


def number(value: float | None, form: str = ".2f", missing: str = "-") -> str:
    """A figure as a text.

    Args:
        value: Float, or `None`.
        form: String, a format specification as `format` takes it. Defaults to
            `".2f"`.
        missing: String that stands for NaN and `None`. Defaults to `"-"`.

    Returns:
        String.
    """
    if value is None or value != value:
        return missing
    return format(value, form)


def percent(value: float | None, missing: str = "-") -> str:
    """A share as a text, such as `"98.4 %"`.

    Args:
        value: Float, 1.0 for the whole, or `None`.
        missing: String that stands for NaN and `None`. Defaults to `"-"`.

    Returns:
        String.
    """
    if value is None or value != value:
        return missing
    return f"{100 * value:.1f} %"


def interval(
    mean: float | None,
    low: float | None,
    high: float | None,
    form: str = ".2f",
) -> str:
    """A mean and the ends of its interval, such as `"0.50 (0.40, 0.60)"`.

    Args:
        mean: Float, or `None`.
        low: Float, or `None`. The interval's lower end.
        high: Float, or `None`. The interval's upper end.
        form: String, as in `number`. Defaults to `".2f"`.

    Returns:
        String.
    """
    middle, lower, upper = (number(value, form) for value in (mean, low, high))
    return f"{middle} ({lower}, {upper})"
