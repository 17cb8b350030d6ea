"""The optimizers of Keras that learned ones are compared with."""

import math
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras.optimizers import schedules

from keras_l2o import keras_internals

#: Share of the steps in which the rate rises.
WARMUP = 0.05
#: Settings that are tried in a search.
TRIALS = 20


class Opponent(NamedTuple):
    """An optimizer, and where its settings are searched.

    Attributes:
        make: Function of a rate or a schedule, of a weight decay and of the
            number of steps that returns an optimizer.
        schedule: String: `"constant"`, `"cosine"`, or `"warm"`, a cosine with
            a warm-up before it.
        default: Pair of floats, Keras's own rate and weight decay.
        rates: Pair of floats, the least and the largest rate of a search.
        decays: Pair of floats, the same of weight decays, or `None` for an
            optimizer without.
    """

    make: Callable[[Any, Any, int], keras.optimizers.Optimizer]
    schedule: str
    default: tuple[float, float | None]
    rates: tuple[float, float] = (1e-4, 1e-1)
    decays: tuple[float, float] | None = (1e-3, 1.0)


class Setting(NamedTuple):
    """What a search chooses: a rate and a weight decay, or `None` for it."""

    rate: float
    decay: float | None


def _schedule_free(rate, decay, steps):
    return keras.optimizers.ScheduleFreeAdamW(
        rate, weight_decay=decay, warmup_steps=_rising(steps)
    )


def _muon(rate, decay, steps):
    return keras.optimizers.Muon(
        rate, weight_decay=decay, adam_weight_decay=decay
    )


def _plain(optimizer):
    """Of a class whose weight decay is called so."""
    return lambda rate, decay, steps: optimizer(rate, weight_decay=decay)


#: The opponents by name.
OPPONENTS = {
    "adamw_cosine": Opponent(
        _plain(keras.optimizers.AdamW), "warm", (1e-3, 4e-3)
    ),
    "adam": Opponent(
        _plain(keras.optimizers.Adam), "constant", (1e-3, None), decays=None
    ),
    "adam_cosine": Opponent(
        _plain(keras.optimizers.Adam), "cosine", (1e-3, None), decays=None
    ),
    "nadamw_cosine": Opponent(
        _plain(keras.optimizers.Nadam), "warm", (1e-3, None)
    ),
    "muon_cosine": Opponent(_muon, "warm", (1e-3, 4e-3)),
    "lion_cosine": Opponent(
        _plain(keras.optimizers.Lion),
        "warm",
        (1e-3, None),
        (1e-5, 1e-2),
        (1e-2, 10.0),
    ),
    "schedule_free": Opponent(_schedule_free, "constant", (2.5e-3, None)),
}


def _rising(steps):
    return max(1, round(WARMUP * steps))


def _schedule(kind, peak, steps):
    if kind == "constant":
        return peak
    if kind == "cosine":
        return schedules.CosineDecay(peak, steps)
    rising = _rising(steps)
    return schedules.CosineDecay(
        0.0, max(1, steps - rising), warmup_target=peak, warmup_steps=rising
    )


def optimizer(
    name: str, setting: Setting, steps: int
) -> keras.optimizers.Optimizer:
    """A new optimizer.

    Args:
        name: String, one of `OPPONENTS`.
        setting: `Setting`.
        steps: Int. Steps of the run.
    """
    opponent = OPPONENTS[name]
    rate = _schedule(opponent.schedule, float(setting.rate), steps)
    return opponent.make(rate, setting.decay, steps)


def with_variables(
    name: str, setting: Setting, steps: int
) -> keras.optimizers.Optimizer:
    """A new optimizer whose rate and weight decay are variables.

    So optimizers of different settings are one program, and can train side by
    side.

    Args:
        name: String, one of `OPPONENTS`.
        setting: `Setting`.
        steps: Int. Steps of the run.
    """
    opponent = OPPONENTS[name]
    made = opponent.make(float(setting.rate), setting.decay, steps)
    if setting.decay is not None:
        decay = made.add_variable((), "zeros", name="weight_decay")
        decay.assign(setting.decay)
        for field in ("weight_decay", "adam_weight_decay"):
            if hasattr(made, field):
                setattr(made, field, decay)
    if opponent.schedule != "constant":
        rate = keras_internals.learning_rate_variable(made)
        factor = _schedule(opponent.schedule, 1.0, steps)
        keras_internals.set_learning_rate(
            made, lambda: rate * factor(made.iterations)
        )
    return made


def trials(name: str, count: int = TRIALS) -> list[Setting]:
    """The settings that a search tries.

    The rates are equally far apart in their logarithms. So are the weight
    decays, in an order of low discrepancy, so that each part of the range of
    rates meets small ones and large ones.

    Args:
        name: String, one of `OPPONENTS`.
        count: Int. Defaults to `TRIALS`.
    """
    opponent = OPPONENTS[name]
    rates = np.geomspace(*opponent.rates, count)
    if opponent.decays is None:
        return [Setting(float(rate), None) for rate in rates]
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    ranks = np.argsort(np.argsort((np.arange(count) * golden) % 1.0))
    decays = np.geomspace(*opponent.decays, count)[ranks]
    return [
        Setting(float(rate), float(decay)) for rate, decay in zip(rates, decays)
    ]
