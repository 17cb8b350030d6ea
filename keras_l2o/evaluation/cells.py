"""Formats figures for the cells of tables."""


def number(value: float | None, form: str = ".2f", missing: str = "-") -> str:
    """Formats a figure.

    Args:
        value: Float, or `None`.
        form: String, a format specification as `format` takes it. Defaults to
            `".2f"`.
        missing: String to return for NaN and `None`. Defaults to `"-"`.

    Returns:
        String.

    Example:

    >>> from keras_l2o.evaluation import cells
    >>> cells.number(0.123), cells.number(None)
    ('0.12', '-')
    """
    if value is None or value != value:
        return missing
    return format(value, form)


def percent(value: float | None, missing: str = "-") -> str:
    """Formats a share as a percentage.

    Args:
        value: Float, where 1.0 is 100 %, or `None`.
        missing: String to return for NaN and `None`. Defaults to `"-"`.

    Returns:
        String.

    Example:

    >>> from keras_l2o.evaluation import cells
    >>> cells.percent(0.984)
    '98.4 %'
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
    """Formats a mean and the ends of its interval.

    Args:
        mean: Float, or `None`.
        low: Float, or `None`. The interval's lower end.
        high: Float, or `None`. The interval's upper end.
        form: String, as in `number`. Defaults to `".2f"`.

    Returns:
        String.

    Example:

    >>> from keras_l2o.evaluation import cells
    >>> cells.interval(0.5, 0.4, 0.6)
    '0.50 (0.40, 0.60)'
    """
    middle, lower, upper = (number(value, form) for value in (mean, low, high))
    return f"{middle} ({lower}, {upper})"
