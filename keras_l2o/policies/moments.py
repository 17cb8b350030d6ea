"""Decayed averages of the gradient and of its square."""

from typing import Any
from typing import NamedTuple

from keras import ops

from keras_l2o import numerics
from keras_l2o.policies.arguments import check_number
from keras_l2o.typing import Tensor

BIAS_CORRECTIONS = ("paper", "constant", None)


class Moment(NamedTuple):
    """Decayed average of the gradient."""

    first: Any  # the parameter's shape


class SquareMoment(NamedTuple):
    """Decayed average of the squared gradient."""

    second: Any  # the parameter's shape


class Moments(NamedTuple):
    """Decayed averages of the gradient and of its square."""

    first: Any  # the parameter's shape
    second: Any  # the parameter's shape


def average(old: Tensor, new: Tensor, decay: float | Tensor) -> Tensor:
    """One step of a decayed average."""
    return decay * old + (1.0 - decay) * new


def average_moments(state, gradient, beta_1, beta_2):
    """One step of both decayed averages in a `Moments`."""
    return Moments(
        average(state.first, gradient, beta_1),
        average(state.second, ops.square(gradient), beta_2),
    )


def corrected(moments, step, beta_1, beta_2, kind):
    """Both averages, corrected for their start at zero.

    Args:
        moments: `Moments` after the step.
        step: Float scalar, gradients averaged so far; see `float_step`.
        beta_1, beta_2: Floats or scalar tensors. The decays.
        kind: As in `numerics.bias_correction`.
    """
    return Moments(
        corrected_average(moments.first, beta_1, step, kind),
        corrected_average(moments.second, beta_2, step, kind),
    )


def corrected_average(moment, decay, step, kind="paper"):
    """One average, corrected for its start at zero, in its own type."""
    divisor = numerics.bias_correction(decay, step, kind)
    return moment / ops.cast(divisor, moment.dtype)


def check_decay(name, value):
    number = check_number(name, value)
    if not 0.0 <= number < 1.0:
        raise ValueError(
            f"Argument `{name}` must be in [0, 1). Received: {name}={value}"
        )
    return number


def check_bias_correction(value):
    if value not in BIAS_CORRECTIONS:
        raise ValueError(
            "Argument `bias_correction` must be one of "
            f"{BIAS_CORRECTIONS}. Received: bias_correction={value!r}"
        )
    return value
