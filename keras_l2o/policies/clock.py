"""What a rule can know of time: steps made, and how far a training is."""

import math
from typing import Any
from typing import NamedTuple

from keras import ops

from keras_l2o import numerics
from keras_l2o.policies.policy import float_step

#: The rate at the end of a known horizon, as a share of that at its start.
LAST_RATE = 0.01
#: How many features `Clock.features` and `Clock.context` have.
TIME_FEATURES, CONTEXT = 10, 6


class Clock(NamedTuple):
    """What a step's number and its horizon say, as tensors."""

    step: Any  # scalar, the number of this update, from 1
    log_decay: Any  # scalar, of the rate along the horizon
    features: Any  # (TIME_FEATURES,), for the network of tensors
    context: Any  # (CONTEXT,), for the network of coordinates
    dtype: str

    @classmethod
    def of(cls, state, dtype):
        """Reads the clock of a `PolicyState` that has a `Horizon`."""
        made = float_step(state.step, dtype)
        first, total = (float_step(part, dtype) for part in state.shared)
        known = ops.cast(total > 0, made.dtype)
        total = ops.maximum(total, 1.0)
        past = ops.clip((made - first) / total, 0.0, 1.0) * known
        wave = ops.cos(math.pi * past)
        log_decay = ops.log(LAST_RATE + (1.0 - LAST_RATE) * 0.5 * (1.0 + wave))
        step = made + 1.0
        early = [ops.exp(-made / steps) for steps in (3.0, 10.0, 30.0)]
        log_step = ops.log(step) / 5.0 - 1.0
        log_total = (ops.log(total) / 5.0 - 1.0) * known
        features = [
            ops.ones_like(made), known, past, known * wave, log_decay / 2.0,
            log_total, log_step, *early,
        ]  # fmt: skip
        context = [known, past, known * wave, log_total, log_step, early[0]]
        return cls(
            step,
            ops.cast(log_decay, dtype),
            ops.cast(ops.stack(features), dtype),
            ops.cast(ops.stack(context), dtype),
            dtype,
        )

    def corrections(self, decays):
        """Factors that correct averages of these decays for their start."""
        return ops.cast(
            ops.stack(
                [
                    1.0 / numerics.bias_correction(decay, self.step, "paper")
                    for decay in decays
                ]
            ),
            self.dtype,
        )
