"""The rates of tensors, from what can be measured of each."""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_l2o.policies.clock import TIME_FEATURES
from keras_l2o.policies.clock import Clock
from keras_l2o.policies.directions import build_in_turn
from keras_l2o.policies.directions import rectified
from keras_l2o.policies.directions import starting_at
from keras_l2o.typing import Tensor

#: The network changes logarithms by less than this.
LARGEST_CHANGE = 1.0
#: Of the logarithm of a rate.
LOG_RATES = (-12.0, 6.0)
#: Of the logarithm of a decay relative to a rate.
LOG_SHRINKAGES = (-12.0, 2.0)
#: What the logarithm of a rate is before any training: the sum of these, each
#: times a feature. Zero is what a tensor of 48 by 32 of a model of six has in
#: a training of 400 steps.
LOG_RATE: Mapping[str, float] = {
    "matrix": 0.949,
    "vector": 1.349,
    "size of a matrix": 0.608,
    "smallness of a matrix": 0.225,
    "size of a vector": 0.376,
    "signal": 0.466,
    "evenness": 0.259,
    "fall": -0.015,
    "rows": -0.196,
    "columns": 0.296,
    "length": -0.258,
    "tensors": -0.539,
    "steps": -0.366,
    "passes": 0.0,
    "memory": 0.0,
    "unknown": -1.1,
    "decay": 0.863,
    "warmup": 1.0,
}
#: The place of how far a gradient has fallen.
FALL = [*LOG_RATE].index("fall")
#: The logarithm of the decay, relative to the rate.
LOG_SHRINKAGE: Mapping[str, float] = {
    "matrix": -2.468,
    "size of a matrix": -0.209,
    "signal": -0.373,
    "evenness": -0.344,
    "fall": -0.505,
    "rows": -0.204,
    "tensors": -0.505,
    "steps": -0.05,
}
#: And the logarithm of the odds of what is orthogonalized.
LOG_ODDS: Mapping[str, float] = {"matrix": 3.431}


class Measures(NamedTuple):
    """What is measured of some tensors, each `(tensors,)`."""

    parameters: Any  # mean squares of the parameters
    direction: Any  # of the direction
    momentum: Any  # of Adam's momentum
    second: Any  # means of the mean square
    root: Any  # and of its root
    peak: Any  # largest that `second` has been


#: The places of `direction` and `second` among `Measures`.
DIRECTION = Measures._fields.index("direction")
SECOND = Measures._fields.index("second")


class TensorRates(keras.layers.Layer):
    """The logarithms of each tensor's rate and decay, and a share if asked for.

    They are linear functions of features, which start as a good rule, and what
    a network makes of them and of time, which starts at zero and stays within
    `LARGEST_CHANGE`.

    Args:
        units: Tuple of ints. Widths of the network's hidden layers.
        shares: Bool. Whether it also returns a share between 0 and 1 for each
            tensor.
        passes: Bool. Whether it reads how often each example is seen.
        **kwargs: `name` and `dtype`, as in every Keras layer.
    """

    def __init__(
        self, units: Sequence[int], shares: bool, passes: bool, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.passes = passes
        self.starts = [LOG_RATE, LOG_SHRINKAGE, *([LOG_ODDS] if shares else [])]
        self.hidden = rectified(units, self.dtype_policy)
        self.readout = keras.layers.Dense(
            len(self.starts),
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            name="readout",
        )

    def build(self, input_shape: Any = None) -> None:
        left_out = () if self.passes else ("passes", "memory")
        names = [name for name in LOG_RATE if name not in left_out]
        start = [[s.get(name, 0.0) for s in self.starts] for name in names]
        self.linear = self.add_weight(
            name="linear",
            shape=(len(names), len(self.starts)),
            initializer=starting_at(start),
        )
        # The features of tensors but for `unknown`, `decay` and `warmup`,
        # which are among those of time, and the size of the direction.
        width = len(names) - 3 + 1 + TIME_FEATURES
        build_in_turn([*self.hidden, self.readout], width)
        self.built = True

    def find(
        self,
        measures: Measures,
        shapes: Sequence[Sequence[int]],
        tensors: int,
        clock: Clock,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Rates of some tensors.

        Args:
            measures: `Measures` of the tensors.
            shapes: List of their shapes.
            tensors: Int. How many tensors the model has.
            clock: `Clock`.

        Returns:
            Two tensors `(tensors,)`, the logarithms of the rates and of what
            decays relative to them, and a list of one of shares, if asked for.
        """
        features = self._features(measures, shapes, tensors)
        times = [clock.log_steps]
        if self.passes:
            # What is learned by heart has small gradients.
            times += [clock.log_passes, clock.log_passes * features[FALL]]
        times += [clock.unknown, clock.log_decay, clock.log_rise]
        count = len(shapes)
        linear = [*features, *(ops.broadcast_to(t, (count,)) for t in times)]
        hidden = ops.concatenate(
            [
                ops.tanh(
                    ops.stack([*linear[:-3], self._log(measures.direction)], 1)
                    / 3.0
                ),
                ops.broadcast_to(clock.features[None], (count, TIME_FEATURES)),
            ],
            axis=1,
        )
        for layer in self.hidden:
            hidden = layer(hidden)
        change = self.readout(hidden) / LARGEST_CHANGE
        outputs = ops.matmul(ops.stack(linear, 1), self.linear)
        outputs = outputs + LARGEST_CHANGE * ops.tanh(change)
        log_rate, log_shrinkage, *odds = ops.unstack(
            outputs, len(self.starts), axis=1
        )
        return (
            ops.clip(log_rate, *LOG_RATES),
            ops.clip(log_shrinkage, *LOG_SHRINKAGES),
            [ops.sigmoid(x) for x in odds],
        )

    def _features(self, measures, shapes, tensors):
        """Features `(tensors,)` of tensors, in the order of `LOG_RATE`."""
        size = self._log(measures.parameters) + 2.0
        signal = measures.momentum / (measures.second + 1e-16)
        evenness = 2.0 * ops.log(measures.root + 1e-10)
        evenness = evenness - ops.log(measures.second + 1e-20)
        fall = 0.5 * ops.log(measures.second + 1e-20)
        fall = fall - 0.5 * ops.log(measures.peak + 1e-20)
        shape = np.array([_of_shape(shape, tensors) for shape in shapes])
        matrix, vector, *others, count = (
            ops.convert_to_tensor(column, self.variable_dtype)
            for column in shape.T
        )
        return [
            matrix,
            vector,
            matrix * size,
            # Below what Glorot's initializer gives a square matrix.
            matrix * ops.minimum(size + 0.5 * others[0], 0.0),
            vector * size,
            ops.log(signal + 1e-4) + 2.0,
            ops.maximum(evenness, -6.0),
            ops.maximum(fall, -8.0),
            *others,
            count,
        ]

    def _log(self, mean_square):
        return 0.5 * ops.log(mean_square + 1e-6)


def _of_shape(shape, tensors):
    """What is known of a tensor by its shape, and by how many others."""
    count = math.log(tensors / 6.0)
    if len(shape) < 2:
        length = max(math.prod(shape), 1)
        return [0.0, 1.0, 0.0, 0.0, math.log(length / 32.0), count]
    rows, columns = max(math.prod(shape[:-1]), 1), max(shape[-1], 1)
    return [
        1.0, 0.0, math.log(rows / 48.0), math.log(columns / 32.0), 0.0, count
    ]  # fmt: skip
