"""A rule with nothing to set: it reads tensors, models and the horizon."""

import math
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_l2o import numerics
from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.arguments import check_widths
from keras_l2o.policies.clock import CONTEXT
from keras_l2o.policies.clock import TIME_FEATURES
from keras_l2o.policies.clock import Clock
from keras_l2o.policies.directions import ADAM
from keras_l2o.policies.directions import DECAYS
from keras_l2o.policies.directions import DirectionNetwork
from keras_l2o.policies.directions import build_in_turn
from keras_l2o.policies.directions import rectified
from keras_l2o.policies.moments import average
from keras_l2o.policies.moments import check_decay
from keras_l2o.policies.orthogonal import each_orthogonalized
from keras_l2o.policies.policy import Horizon
from keras_l2o.policies.policy import Policy
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.policy import next_step
from keras_l2o.policies.policy import no_horizon
from keras_l2o.policies.policy import told
from keras_l2o.policies.rows import cut
from keras_l2o.policies.rows import grouped
from keras_l2o.policies.rows import joined
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor

#: Small tensors go through the network together, until there are so many
#: coordinates. What tensors share is then computed once.
GROUP = 2**18
SHAPE_FEATURES = 3


class GeneralTensorState(NamedTuple):
    # The three momenta and the mean square: 4, then the parameter's shape.
    averages: Any


@keras.saving.register_keras_serializable(package="keras_l2o")
class General(Policy):
    """A rule whose rates come from tensors and from how far the training is.

    The update of a tensor is `exp(r) * d`. For each coordinate, a small
    network combines the momenta and the gradient, each divided by the root of
    the mean square, into the direction `d`. For each tensor, another network
    reads the horizon, the sizes of the parameters and of `d`, the signal to
    noise of the momenta, the tensor's shape and the number of the step, and
    returns the logarithm `r` of the rate. The update flips with the signs of
    all gradients and parameters, and without a gradient there is none.

    With `orthogonal`, `d` of a matrix also has a multiple of its momentum with
    all singular values near one, as in Muon. The network of tensors returns
    the factor. A coordinate without a gradient then stays where it is if its
    whole row or column is without; among others it moves.

    Untrained, it is Adam at `learning_rate`, along a cosine if the horizon is
    known: tell it with `LearnedOptimizer(total_steps=...)` or
    `keras_l2o.callbacks.Horizon`. It keeps four numbers for each parameter of
    a model.

    Args:
        learning_rate: Float. The rate of Adam before training. Defaults to
            `0.01`.
        units: Tuple of ints. Widths of the hidden layers of the network of
            coordinates. Defaults to `(8, 8)`.
        rate_units: Tuple of ints. Widths of the hidden layers of the network
            of tensors. Defaults to `(16,)`.
        beta_2: Float in `[0, 1)`. Decay of the mean square. Defaults to
            `0.999`.
        epsilon: Float. Added inside the root. Defaults to `1e-16`.
        orthogonal: Bool. Whether directions of matrices are orthogonalized,
            too. Defaults to `False`.
        **kwargs: `name` and `dtype`, as in `Policy`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> policy = keras_l2o.policies.General()
    >>> policy.build()
    >>> state = policy.initial_state([np.zeros(1)])
    >>> [update], state = policy.update([np.ones(1)], [np.zeros(1)], state)
    >>> f"{float(update[0]):.4f}"  # untrained: Adam's first step
    '0.0100'

    References:
        - [Metz et al., 2022](https://arxiv.org/abs/2211.09760), for rates by
          tensor
        - [Moudgil et al., 2025](https://arxiv.org/abs/2501.12670), for a
          direction and a rate that are apart
        - [Jordan et al., 2024](https://kellerjordan.github.io/posts/muon/),
          for `orthogonal`
    """

    reads_horizon = True

    def __init__(
        self,
        learning_rate: float = 0.01,
        units: Sequence[int] = (8, 8),
        rate_units: Sequence[int] = (16,),
        beta_2: float = 0.999,
        epsilon: float = 1e-16,
        orthogonal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.learning_rate = check_number(
            "learning_rate", learning_rate, above=0.0
        )
        self.beta_2 = check_decay("beta_2", beta_2)
        self.epsilon = check_number("epsilon", epsilon, above=0.0)
        self.orthogonal = bool(orthogonal)
        self.units = check_widths("units", units)
        self.rate_units = check_widths("rate_units", rate_units)
        self.direction = DirectionNetwork(
            self.units, CONTEXT, dtype=self.dtype_policy, name="direction"
        )
        dense, dtype = keras.layers.Dense, self.dtype_policy
        self.rate_hidden = rectified(self.rate_units, dtype, "rate_hidden")
        # The logarithm of the rate, and the share of what is orthogonalized.
        outputs = 1 + self.orthogonal
        self.rate_readout = dense(
            outputs, kernel_initializer="zeros", dtype=dtype,
            name="rate_readout",
        )  # fmt: skip
        self.rate_linear = dense(
            outputs, use_bias=False, kernel_initializer="zeros", dtype=dtype,
            name="rate_linear",
        )  # fmt: skip

    def build(self, input_shape: Any = None) -> None:
        self.direction.build()
        width = 3 + SHAPE_FEATURES + TIME_FEATURES
        self.rate_linear.build((None, width))
        build_in_turn([*self.rate_hidden, self.rate_readout], width)
        self.built = True

    def initial_state(self, parameters: Sequence[Tensor]) -> PolicyState:
        rows = len(DECAYS) + 1
        return PolicyState(
            step=ops.zeros((), "int32"),
            tensors=tuple(
                GeneralTensorState(
                    ops.zeros((rows, *parameter.shape), self.variable_dtype)
                )
                for parameter in parameters
            ),
            shared=no_horizon(),
        )

    def with_horizon(self, state: PolicyState, horizon: Horizon) -> PolicyState:
        return state._replace(shared=told(horizon))

    def update(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
        training: bool = False,
    ) -> tuple[list[Tensor | None], PolicyState]:
        clock = Clock.of(state, self.variable_dtype)
        updates: list[Any] = [None] * len(gradients)
        tensors = list(state.tensors)
        present = [i for i, g in enumerate(gradients) if g is not None]
        sizes = [math.prod(parameters[i].shape) for i in present]
        for run in grouped(sizes, GROUP):
            indices = [present[position] for position in run]
            found = self._update_run(
                [gradients[i] for i in indices],
                [parameters[i] for i in indices],
                [state.tensors[i].averages for i in indices],
                clock,
            )
            for index, update, averages in zip(indices, *found):
                updates[index] = update
                tensors[index] = GeneralTensorState(averages)
        return updates, state._replace(
            step=next_step(state.step), tensors=tuple(tensors)
        )

    def _update_run(self, gradients, parameters, averages, clock):
        """Updates and new averages of some tensors, computed together."""
        shapes = [tuple(gradient.shape) for gradient in gradients]
        sizes = [math.prod(shape) for shape in shapes]
        gradient = joined([self.cast_gradient(g) for g in gradients])
        rows = self._averages(joined(averages, 1), gradient)
        corrections = clock.corrections((*DECAYS, self.beta_2))
        *momenta, second = ops.unstack(
            rows * corrections[:, None], len(DECAYS) + 1
        )
        scale = numerics.inverse_root(second, self.epsilon)
        directions = [momentum * scale for momentum in momenta]
        directions.append(ops.tanh(gradient * scale))
        raw = self.direction.combine(directions, clock.context)
        parameter = joined(
            [ops.cast(p, self.variable_dtype) for p in parameters]
        )
        figures = ops.stack(
            [
                ops.square(parameter),
                ops.square(raw),
                ops.square(momenta[ADAM]),
                second,
            ]
        )
        means = ops.stack(
            [ops.mean(part, axis=-1) for part in cut(figures, sizes)]
        )
        rates, *shares = self._rates(means, shapes, clock)
        parts = cut(raw, sizes)
        if self.orthogonal:
            matrices = each_orthogonalized(
                cut(momenta[ADAM], sizes), shapes, self.epsilon
            )
            parts = [
                part + shares[0][index] * matrix
                for index, (part, matrix) in enumerate(zip(parts, matrices))
            ]
        updates = [
            ops.reshape(rates[index] * part, shape)
            for index, (part, shape) in enumerate(zip(parts, shapes))
        ]
        new = [
            ops.reshape(part, (rows.shape[0], *shape))
            for part, shape in zip(cut(rows, sizes), shapes)
        ]
        return updates, new

    def _averages(self, rows, gradient):
        """The averages `(4, coordinates)` after one more gradient."""
        decays = ops.convert_to_tensor(
            np.array([*DECAYS, self.beta_2]), self.variable_dtype
        )[:, None]
        square = ops.square(gradient)
        new = ops.stack([gradient] * len(DECAYS) + [square])
        return average(rows, new, decays)

    def _rates(self, means, shapes, clock):
        """The rates `(tensors,)`, and the shares of what is orthogonalized.

        Args:
            means: `(tensors, 4)`. Mean squares of the parameters, of the
                direction and of Adam's momentum, and the mean of the mean
                square.
            shapes: List of the tensors' shapes.
            clock: `Clock`.
        """
        sizes = 0.5 * ops.log(means[:, :2] + 1e-6)
        signal = means[:, 2] / (means[:, 3] + self.epsilon)
        features = ops.concatenate(
            [
                sizes / 2.0,
                ops.log(signal + 1e-4)[:, None] / 6.0,
                ops.convert_to_tensor(
                    np.array([_shape_features(shape) for shape in shapes]),
                    self.variable_dtype,
                ),
                ops.broadcast_to(
                    clock.features[None], (len(shapes), TIME_FEATURES)
                ),
            ],
            axis=1,
        )
        hidden = features
        for layer in self.rate_hidden:
            hidden = layer(hidden)
        outputs = self.rate_readout(hidden) + self.rate_linear(features)
        log_rate, *shares = ops.unstack(outputs, 1 + self.orthogonal, axis=1)
        log_rate = log_rate + clock.log_decay + math.log(self.learning_rate)
        return ops.exp(ops.clip(log_rate, -16.0, 2.0)), *shares

    def warm_up(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
    ) -> PolicyState:
        tensors = []
        for gradient, tensor in zip(gradients, state.tensors):
            if gradient is not None:
                rows = ops.reshape(tensor.averages, (len(DECAYS) + 1, -1))
                flat = ops.reshape(self.cast_gradient(gradient), (-1,))
                tensor = GeneralTensorState(
                    ops.reshape(
                        self._averages(rows, flat), tensor.averages.shape
                    )
                )
            tensors.append(tensor)
        return state._replace(
            step=next_step(state.step), tensors=tuple(tensors)
        )

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "learning_rate": self.learning_rate,
            "units": list(self.units),
            "rate_units": list(self.rate_units),
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "orthogonal": self.orthogonal,
        }


def _shape_features(shape):
    """What the network of tensors reads of a tensor's shape."""
    fan_in = math.prod(shape[:-1]) if len(shape) > 1 else 1
    fan_out = shape[-1] if shape else 1
    vector = float(len(shape) <= 1)
    return [vector, math.log(fan_in) / 4.0, math.log(fan_out) / 4.0]
