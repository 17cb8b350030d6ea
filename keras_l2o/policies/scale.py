"""A hierarchy of recurrent networks."""

import math
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import numerics
from keras_l2o.policies.arguments import check_count
from keras_l2o.policies.arguments import check_flag
from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.arguments import check_widths
from keras_l2o.policies.moments import average
from keras_l2o.policies.policy import Policy
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.policy import next_step
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor

#: Added to the mean square of a direction before its root is taken, by which
#: the direction is then divided. It must not be smaller: where a gradient is
#: zero, the direction is, too, and one over this root multiplies the outer
#: gradient.
DIRECTION_EPSILON = 1e-8


class ScaleTensorState(NamedTuple):
    momenta: Any  # (timescales, *shape)
    squares: Any  # (timescales, *shape), decayed mean squares of the momenta
    log_rate: Any  # (*shape), the decayed average
    recurrent: Any  # (units, *shape) of the parameter network
    tensor: Any  # (units,) of the tensor network; () if there is none


class ScaleSharedState(NamedTuple):
    recurrent: Any  # (units,) of the global network; () if there is none


def _logit(probability):
    return math.log(probability / (1.0 - probability))


@keras.saving.register_keras_serializable(package="keras_l2o")
class Scale(Policy):
    """A hierarchy of small recurrent networks, for coordinates up to the model.

    There is one network for coordinates, one for tensors and one for the whole
    model. The network of a coordinate reads averages of the gradient over
    several timescales, each divided by the root of its mean square; the
    logarithms of the mean squares, relative to each other; and the
    coordinate's rate, relative to the mean of its tensor. Its outputs are a
    direction, a change of the rate, and the decays of the averages in the next
    step. Each network passes its state to the network below, as a bias, and
    the mean of its states to the network above.

    By default the rule is odd: if the signs of all gradients flip, those of the
    updates do, and a coordinate that never had a gradient stays exactly where
    it is. The network of a coordinate then reads absolute values of the
    averages, and its direction is a sum of the averages with coefficients that
    it puts out. In the paper, and with `odd=False`, the direction is an output.

    Two more things differ from the paper. Its attention, which computes
    gradients at other points than the parameters, is left out, because a policy
    is only given gradients. And where the paper leaves a choice open, Keras's
    GRU (which applies the reset gate after the product) and Keras's
    initializers are used.

    Args:
        units: Tuple of one to three ints: the widths of the networks of
            coordinates, of tensors and of the model, which are GRUs. With one
            width there is no hierarchy. Defaults to `(20, 10, 10)`.
        timescales: Int. How many averages of the gradient there are. Each
            decays half as fast as the one before it. Defaults to `4`.
        learning_rate: Float. The rate of every coordinate before the first
            step. Defaults to `0.001`.
        epsilon: Float. Added to the mean squares. Defaults to `1e-16`.
        odd: Bool. Whether the rule is odd. Policies stored before there was
            this argument have `False`. Defaults to `True`.
        **kwargs: `name` and `dtype`, as in `Policy`.

    Example:

    >>> policy = keras_l2o.policies.Scale(units=(4,))
    >>> optimizer = keras_l2o.LearnedOptimizer(policy)
    >>> model.compile(optimizer=optimizer, loss="mse")

    Reference:
        - [Wichrowska et al., 2017](https://arxiv.org/abs/1703.04813)
    """

    later = {"odd": False}

    def __init__(
        self,
        units: Sequence[int] = (20, 10, 10),
        timescales: int = 4,
        learning_rate: float = 1e-3,
        epsilon: float = 1e-16,
        odd: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = check_widths("units", units, most=3)
        self.timescales = check_count("timescales", timescales, least=1)
        self.learning_rate = check_number(
            "learning_rate", learning_rate, above=0.0
        )
        self.epsilon = check_number("epsilon", epsilon, least=0.0)
        self.odd = check_flag("odd", odd)
        self.cells = [
            keras.layers.GRUCell(width, dtype=self.dtype_policy, name=name)
            for width, name in zip(self.units, ("parameter", "tensor", "whole"))
        ]
        self.direction = self._readout(
            "direction",
            width=self.timescales if self.odd else 1,
            use_bias=False,
        )
        # The paper adds a linear map of the scaled averages to the direction,
        # and does not say how it is initialized. Here it starts as their mean,
        # which goes downhill.
        self.shortcut = self._readout(
            "shortcut",
            use_bias=False,
            kernel_initializer=keras.initializers.Constant(1 / self.timescales),
        )
        self.rate_change = self._readout(
            "rate_change", kernel_initializer="zeros"
        )
        self.momentum_decay = self._readout("momentum_decay", bias=_logit(0.9))
        self.square_decay = self._readout("square_decay", bias=_logit(0.999))

    def _readout(self, name, bias=0.0, width=1, **options):
        return keras.layers.Dense(
            width,
            bias_initializer=keras.initializers.Constant(bias),
            dtype=self.dtype_policy,
            name=name,
            **options,
        )

    def build(self, input_shape: Any = None) -> None:
        features = 2 * self.timescales + 1
        for level, cell in enumerate(self.cells):
            # A network reads the one below it and the state of the one above.
            below = features if level == 0 else self.units[level - 1]
            cell.build((None, below + sum(self.units[level + 1 : level + 2])))
        for readout in (
            self.direction,
            self.rate_change,
            self.momentum_decay,
            self.square_decay,
        ):
            readout.build((None, self.units[0]))
        self.shortcut.build((None, self.timescales))
        constant = keras.initializers.Constant
        self.rate_momentum = self.add_weight(
            shape=(), initializer=constant(3.2), name="rate_momentum"
        )
        # As in the authors' code, an offset of the rate's logarithm.
        self.rate_offset = self.add_weight(
            shape=(), initializer=constant(1e-2), name="rate_offset"
        )
        self.built = True

    def initial_state(self, parameters: Sequence[Tensor]) -> PolicyState:
        # The networks' first states are zeros. In the paper they are learned,
        # but here a policy's state is data, which no outer gradient reaches.
        return PolicyState(
            step=ops.zeros((), "int32"),
            tensors=tuple(self._tensor_state(p) for p in parameters),
            shared=ScaleSharedState(
                self._zeros(self.units[2]) if len(self.units) > 2 else ()
            ),
        )

    def _tensor_state(self, parameter):
        shape = tuple(parameter.shape)
        return ScaleTensorState(
            momenta=self._zeros(self.timescales, *shape),
            squares=self._zeros(self.timescales, *shape),
            log_rate=self._zeros(*shape) + math.log(self.learning_rate),
            recurrent=self._zeros(self.units[0], *shape),
            tensor=self._zeros(self.units[1]) if len(self.units) > 1 else (),
        )

    def _zeros(self, *shape):
        return ops.zeros(shape, self.variable_dtype)

    def update(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
        training: bool = False,
    ) -> tuple[list[Tensor | None], PolicyState]:
        present = [i for i, g in enumerate(gradients) if g is not None]
        updates, tensors = [None] * len(gradients), list(state.tensors)
        whole = state.shared.recurrent
        if present:
            old = [
                self._averages(gradients[i], state.tensors[i]) for i in present
            ]
            momenta = [self._scaled(tensor) for tensor in old]
            new, whole = self._networks(momenta, old, whole)
            for index, scaled, tensor in zip(present, momenta, new):
                updates[index], tensors[index] = self._step(scaled, tensor)
        shared = ScaleSharedState(whole)
        return updates, PolicyState(
            next_step(state.step), tuple(tensors), shared
        )

    def warm_up(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
    ) -> PolicyState:
        tensors = tuple(
            tensor if gradient is None else self._averages(gradient, tensor)
            for gradient, tensor in zip(gradients, state.tensors)
        )
        return PolicyState(next_step(state.step), tensors, state.shared)

    def _averages(self, gradient, state):
        """Updates the averages, with the decays that the network has chosen.

        It chose them in its last step, because its new state depends on the
        averages.
        """
        shape = tuple(gradient.shape)
        gradient = self.cast_gradient(gradient)[None]
        hidden = _rows(state.recurrent)
        # Each timescale is twice the one before: its decay is the square root.
        powers = ops.convert_to_tensor(
            [2.0**-s for s in range(self.timescales)], self.variable_dtype
        )

        def decays(readout):
            log_decay = ops.log_sigmoid(readout(hidden))
            decays = ops.transpose(ops.exp(log_decay * powers))
            return ops.reshape(decays, (self.timescales, *shape))

        momenta = average(state.momenta, gradient, decays(self.momentum_decay))
        squares = average(
            state.squares, ops.square(momenta), decays(self.square_decay)
        )
        return state._replace(momenta=momenta, squares=squares)

    def _scaled(self, state):
        """Averages over the roots of their mean squares, by coordinate."""
        scaled = state.momenta * numerics.inverse_root(
            state.squares, self.epsilon
        )
        return _rows(scaled)

    def _networks(self, momenta, tensors, whole):
        """Runs every network once, the lowest over all coordinates at once.

        Args:
            momenta: List over tensors, `(coordinates, timescales)`.
            tensors: List of `ScaleTensorState`.
            whole: State of the global network.

        Returns:
            List of the tensors' states with the networks' new states in them,
            and the new state of the global network.
        """
        rows = [
            self._features(scaled, tensor)
            for scaled, tensor in zip(momenta, tensors)
        ]
        sizes = [row.shape[0] for row in rows]
        if len(self.units) > 1:
            rows = [
                _with_bias(row, tensor.tensor)
                for row, tensor in zip(rows, tensors)
            ]
        hidden, _ = self.cells[0](
            ops.concatenate(rows),
            ops.concatenate([_rows(tensor.recurrent) for tensor in tensors]),
        )
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
        hidden = ops.split(hidden, ends) if ends else [hidden]
        above = [tensor.tensor for tensor in tensors]
        if len(self.units) > 1:
            inputs = ops.stack([ops.mean(h, axis=0) for h in hidden])
            if len(self.units) > 2:
                inputs = _with_bias(inputs, whole)
            above, _ = self.cells[1](inputs, ops.stack(above))
            if len(self.units) > 2:
                mean = ops.mean(above, axis=0, keepdims=True)
                whole = self.cells[2](mean, whole[None])[0][0]
            above = [above[index] for index in range(len(tensors))]
        new = [
            old._replace(
                recurrent=ops.reshape(ops.transpose(h), old.recurrent.shape),
                tensor=tensor,
            )
            for old, h, tensor in zip(tensors, hidden, above)
        ]
        return new, whole

    def _features(self, scaled, state):
        """What the network of coordinates reads: a row for each coordinate."""
        log_squares = numerics.safe_log(_rows(state.squares) + self.epsilon)
        log_rate = ops.reshape(state.log_rate, (-1, 1))
        scaled = ops.abs(scaled) if self.odd else scaled
        return ops.concatenate(
            [
                scaled,
                log_squares - ops.mean(log_squares, axis=-1, keepdims=True),
                log_rate - ops.mean(log_rate),
            ],
            axis=-1,
        )

    def _step(self, scaled, state):
        """The update of one tensor, and its state with the new rate."""
        hidden = _rows(state.recurrent)
        direction = self.direction(hidden)
        if self.odd:
            direction = ops.sum(direction * scaled, axis=-1, keepdims=True)
        direction = direction + self.shortcut(scaled)
        direction = direction * numerics.inverse_root(
            ops.mean(ops.square(direction)), DIRECTION_EPSILON
        )
        shape = state.log_rate.shape
        change = ops.reshape(self.rate_change(hidden), shape)
        log_rate = state.log_rate + change
        rate = ops.exp(log_rate + self.rate_offset)
        momentum = ops.sigmoid(self.rate_momentum)
        state = state._replace(
            log_rate=average(state.log_rate, log_rate, momentum)
        )
        return rate * ops.reshape(direction, shape), state

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "units": list(self.units),
            "timescales": self.timescales,
            "learning_rate": self.learning_rate,
            "epsilon": self.epsilon,
            "odd": self.odd,
        }


def _rows(leaf):
    """Reshapes a part of the state to a row for each coordinate."""
    return ops.transpose(ops.reshape(leaf, (leaf.shape[0], -1)))


def _with_bias(rows, above):
    """Joins the inputs of a network with the state of the one above.

    A gate's linear map of that state is the bias of which the paper speaks.
    """
    behind = ops.broadcast_to(above, (rows.shape[0], above.shape[-1]))
    return ops.concatenate([rows, behind], axis=-1)
