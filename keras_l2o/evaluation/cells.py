"""Figures as they stand in tables."""


def number(value, form=".2f", missing="-"):
    """A figure as a text.

    Args:
        value: Float.
        form: String, as `format` takes it.
        missing: String that stands for NaN and `None`.
    """
    if value is None or value != value:
        return missing
    return format(value, form)


def percent(value, missing="-"):
    """A share as a text, such as `"98.4 %"`."""
    if value is None or value != value:
        return missing
    return f"{100 * value:.1f} %"


def interval(mean, low, high, form=".2f"):
    """A mean and the ends of its interval, such as `"0.50 (0.40, 0.60)"`."""
    mean, low, high = (number(value, form) for value in (mean, low, high))
    return f"{mean} ({low}, {high})"
