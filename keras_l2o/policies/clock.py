"""What a rule can know of time: steps made, and how far a training is."""

import math
from typing import Any
from typing import NamedTuple

from keras import ops

from keras_l2o import numerics
from keras_l2o.policies.policy import float_step

#: The rate at the end of a known horizon, as a share of that at its start.
LAST_RATE = 0.01
#: A training whose length is not known is taken as one of so many steps, and
#: after these as one that ends with the next step.
USUAL_STEPS = 400
#: More often than this counts as so often.
MOST_PASSES = 1000.0
#: How many features `Clock.features` and `Clock.context` have.
TIME_FEATURES, CONTEXT = 10, 6


class Clock(NamedTuple):
    """What a step's number and its horizon say, as tensors."""

    step: Any  # scalar, the number of this update, from 1
    unknown: Any  # scalar, 1 if the horizon is not known, else 0
    log_rise: Any  # scalar, of the rate in the warm-up
    log_decay: Any  # scalar, of the rate after it, along the horizon
    log_steps: Any  # scalar, of the horizon relative to the usual one
    log_passes: Any  # scalar, of how often it sees each example
    features: Any  # (TIME_FEATURES,), for the network of tensors
    context: Any  # (CONTEXT,), for the network of coordinates
    dtype: str

    @classmethod
    def of(cls, state, dtype, warmup):
        """Reads the clock of a `PolicyState` that has a `Horizon`.

        Args:
            state: `PolicyState`.
            dtype: String, the type of what is returned but for the step.
            warmup: Float in `[0, 1)`. The share of the training in which the
                rate rises.
        """
        made = float_step(state.step, dtype)
        first, total, epoch = (float_step(n, dtype) for n in state.shared)
        known = ops.cast(total > 0, made.dtype)
        made_here = made - first
        steps = ops.where(
            total > 0, total, ops.maximum(made_here + 1.0, USUAL_STEPS)
        )
        # Examples of which nothing is known are taken as new ones.
        passes = ops.where(epoch > 0, steps / ops.maximum(epoch, 1.0), 1.0)
        past = ops.clip(made_here / steps, 0.0, 1.0) * known
        rise = (made_here + 1.0) / ops.maximum(steps * warmup, 1.0)
        share = ops.clip((past - warmup) / (1.0 - warmup), 0.0, 1.0)
        fall = 0.5 * (1.0 + ops.cos(math.pi * share))
        log_decay = ops.log(LAST_RATE + (1.0 - LAST_RATE) * fall)
        wave = ops.cos(math.pi * past) * known
        step = made + 1.0
        early = [ops.exp(-made / steps) for steps in (3.0, 10.0, 30.0)]
        log_step = ops.log(step) / 5.0 - 1.0
        log_total = (ops.log(steps) / 5.0 - 1.0) * known
        features = [
            ops.ones_like(made), known, past, wave, log_decay / 2.0,
            log_total, log_step, *early,
        ]  # fmt: skip
        context = [known, past, wave, log_total, log_step, early[0]]
        return cls(
            step,
            *(
                ops.cast(part, dtype)
                for part in (
                    1.0 - known,
                    ops.log(ops.clip(rise, 1e-6, 1.0)),
                    log_decay,
                    ops.log(steps / USUAL_STEPS),
                    ops.log(ops.clip(passes, 1.0, MOST_PASSES)),
                    ops.stack(features),
                    ops.stack(context),
                )
            ),
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
