"""Checks of constructors' arguments, which may come from untrusted configs."""

import math
import numbers

#: The largest count that is allowed: a larger one does not fit 32 bits.
MOST = 2**31 - 1


def check_number(name, value, least=-math.inf, above=-math.inf):
    """The value as a float, if it is a finite number in range.

    Args:
        name: String, the argument's name.
        value: What was given. Neither `True` nor a text is a number.
        least: Float. Least number that is allowed. Defaults to none.
        above: Float. The number has to be greater. Defaults to none.

    Raises:
        ValueError: It is no such number.
    """
    if (
        not isinstance(value, numbers.Real)
        or isinstance(value, bool)
        or not math.isfinite(value)
        or not (value >= least and value > above)
    ):
        bounds = [
            f"of at least {least:g}" if least > -math.inf else "",
            f"above {above:g}" if above > -math.inf else "",
        ]
        wanted = " ".join(["a finite number", *filter(None, bounds)])
        raise ValueError(
            f"Argument `{name}` must be {wanted}. Received: {name}={value!r}"
        )
    return float(value)


def check_count(name, value, least=0):
    """The value as an int, if it is a whole number of at least `least`.

    Raises:
        ValueError: It is no such number, or one that 32 bits do not hold.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or not least <= value <= MOST:
        most = f" and at most {MOST}" if whole and value > MOST else ""
        raise ValueError(
            f"Argument `{name}` must be an integer of at least {least}{most}. "
            f"Received: {name}={value!r}"
        )
    return int(value)


def check_widths(name, value, most=None):
    """The value as a tuple of ints, if it is a list of layers' widths.

    Args:
        name, value: As in `check_count`.
        most: Int. How many there may be. Defaults to any number.
    """
    if (
        not isinstance(value, (list, tuple))
        or not 1 <= len(value) <= (most or len(value))
        or not all(
            isinstance(width, numbers.Integral)
            and not isinstance(width, bool)
            and 1 <= width <= MOST
            for width in value
        )
    ):
        wanted = "at least one width" if most is None else f"1 to {most} widths"
        raise ValueError(
            f"Argument `{name}` must name {wanted}, each an integer of at "
            f"least 1. Received: {name}={value!r}"
        )
    return tuple(int(width) for width in value)


def check_flag(name, value):
    """The value, if it is `True` or `False`."""
    if not isinstance(value, bool):
        raise ValueError(
            f"Argument `{name}` must be `True` or `False`. Received: "
            f"{name}={value!r}"
        )
    return value
