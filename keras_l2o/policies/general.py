"""A rule with nothing to set: it reads tensors, models and the horizon."""

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.policies.arguments import check_flag
from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.arguments import check_widths
from keras_l2o.policies.clock import CONTEXT
from keras_l2o.policies.clock import Clock
from keras_l2o.policies.directions import ADAM
from keras_l2o.policies.directions import DECAYS
from keras_l2o.policies.directions import DirectionNetwork
from keras_l2o.policies.general_table import TablePolicy
from keras_l2o.policies.moments import average
from keras_l2o.policies.moments import check_decay
from keras_l2o.policies.orthogonal import each_orthogonalized
from keras_l2o.policies.orthogonal import matrix_shape
from keras_l2o.policies.policy import Horizon
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.policy import next_step
from keras_l2o.policies.policy import no_horizon
from keras_l2o.policies.policy import told
from keras_l2o.policies.rows import cut
from keras_l2o.policies.rows import joined
from keras_l2o.policies.runs import Found
from keras_l2o.policies.runs import Run
from keras_l2o.policies.runs import together
from keras_l2o.policies.tensor_rates import SECOND
from keras_l2o.policies.tensor_rates import Measures
from keras_l2o.policies.tensor_rates import TensorRates
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor

#: Root mean square of what is orthogonalized, about that of Adam's direction.
ORTHOGONAL_SIZE = 0.5
#: The coefficients of the directions before any training.
DIRECTIONS = (-0.086, 1.0, -0.37, 0.274)
#: How much of the direction's size is divided out before any training.
NORMALIZATION = 0.455
#: No more of a parameter than this decays in a step.
MOST_DECAY = 0.5
#: What is orthogonalized before any training: multiples of the slow momentum
#: and of the gradient that are added to Adam's momentum.
MIX = (-0.126, 0.905)


class GeneralTensorState(NamedTuple):
    # The three momenta and the mean square: 4, then the parameter's shape.
    averages: Any
    # The largest that the mean of the mean square has been: scalar.
    peak: Any


@keras.saving.register_keras_serializable(package="keras_l2o")
class General(TablePolicy):
    """A rule whose rates come from tensors and from how far the training is.

    The update of a tensor is `exp(r) * d`. For each coordinate, a small
    network combines the momenta and the gradient, each divided by the root of
    the mean square, into the direction `d`. For each tensor, the logarithm `r`
    of the rate is a linear function of what is measured of it: its shape, the
    size of its parameters, the signal to noise of its momenta, how evenly the
    gradient is spread over it, how far it has fallen from its largest, how
    many tensors there are, the horizon, and how often each example is seen
    within it. A second network reads the same and changes it within a bound.
    Matrices decay, relative to their rate, by as much as another such function
    says; the update flips with the signs of all gradients and parameters, and
    without a gradient there is none.

    With `orthogonal`, a share of `d` of a matrix is its momentum with all
    singular values near one, as in Muon. A coordinate without a gradient then
    stays where it is if its whole row or column is without; among others it
    moves.

    Before any training the networks change nothing, and the linear function is
    that of a good rule: Adam with Nesterov's momentum, whose rates rise, fall
    along a cosine if the horizon is known, and are smaller in larger models,
    wider tensors and longer trainings. Its three dozen numbers were found over
    `keras_l2o.problems.BREADTH`. Tell the horizon with
    `LearnedOptimizer(total_steps=...)` or `keras_l2o.callbacks.Horizon`. The
    rule keeps four numbers for each parameter of a model, and one for each
    tensor.

    Args:
        learning_rate: Float. What all rates are multiplied with, in units of
            which 0.01 is right. Defaults to `0.01`.
        units: Tuple of ints. Widths of the hidden layers of the network of
            coordinates. Defaults to `(8, 8)`.
        rate_units: Tuple of ints. Widths of the hidden layers of the network
            of tensors. Defaults to `(16,)`.
        beta_2: Float in `[0, 1)`. Decay of the mean square. Defaults to
            `0.976`.
        warmup: Float in `[0, 1)`. The share of a training in which the rate
            rises; if the horizon is not known, of 400 steps. Defaults to
            `0.027`.
        epsilon: Float. Added inside the root. Defaults to `1e-16`.
        orthogonal: Bool. Whether directions of matrices are orthogonalized,
            too. Defaults to `False`.
        passes: Bool. Whether rates and decays read how often each example is
            seen. Defaults to `True`.
        **kwargs: `name` and `dtype`, as in `Policy`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> policy = keras_l2o.policies.General()
    >>> model.compile(keras_l2o.LearnedOptimizer(policy), loss="mse")
    >>> history = model.fit(x, y, epochs=2, verbose=0,
    ...     callbacks=[keras_l2o.callbacks.Horizon()])

    References:
        - [Metz et al., 2022](https://arxiv.org/abs/2211.09760), for rates by
          tensor
        - [Moudgil et al., 2025](https://arxiv.org/abs/2501.12670), for a
          direction and a rate that are apart
        - [Jordan et al., 2024](https://kellerjordan.github.io/posts/muon/),
          for `orthogonal`
    """

    reads_horizon = True
    later = {"passes": False}

    def __init__(
        self,
        learning_rate: float = 0.01,
        units: Sequence[int] = (8, 8),
        rate_units: Sequence[int] = (16,),
        beta_2: float = 0.976,
        warmup: float = 0.027,
        epsilon: float = 1e-16,
        orthogonal: bool = False,
        passes: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.learning_rate = check_number(
            "learning_rate", learning_rate, above=0.0
        )
        self.beta_2 = check_decay("beta_2", beta_2)
        self.warmup = check_decay("warmup", warmup)
        self.epsilon = check_number("epsilon", epsilon, above=0.0)
        self.orthogonal = check_flag("orthogonal", orthogonal)
        self.passes = check_flag("passes", passes)
        self.units = check_widths("units", units)
        self.rate_units = check_widths("rate_units", rate_units)
        self.direction = DirectionNetwork(
            self.units, CONTEXT, DIRECTIONS, dtype=self.dtype_policy,
            name="direction",
        )  # fmt: skip
        self.rates = TensorRates(
            self.rate_units, self.orthogonal, self.passes,
            dtype=self.dtype_policy, name="rates",
        )  # fmt: skip

    def build(self, input_shape: Any = None) -> None:
        self.direction.build()
        self.rates.build()
        self.normalization = self._number("normalization", NORMALIZATION)
        if self.orthogonal:
            self.mix = [
                self._number(name, value)
                for name, value in zip(("slow_share", "gradient_share"), MIX)
            ]
        self.built = True

    def _number(self, name, value):
        """A trainable number that starts at this value."""
        start = keras.initializers.Constant(value)
        return self.add_weight(name=name, shape=(), initializer=start)

    def initial_state(self, parameters: Sequence[Tensor]) -> PolicyState:
        rows = len(DECAYS) + 1
        return PolicyState(
            step=ops.zeros((), "int32"),
            tensors=tuple(
                GeneralTensorState(
                    ops.zeros((rows, *parameter.shape), self.variable_dtype),
                    ops.zeros((), self.variable_dtype),
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
        clock = Clock.of(state, self.variable_dtype, self.warmup)
        updates: list[Any] = [None] * len(gradients)
        tensors = list(state.tensors)
        fused = backend.fuses(state.step)
        for runs in together(
            gradients, parameters, state.tensors, training, fused
        ):
            indices = [index for run in runs for index in run.indices]
            found = self._update_runs(runs, len(gradients), clock, training)
            for index, update, tensor in zip(indices, *found):
                updates[index], tensors[index] = update, tensor
        return updates, state._replace(
            step=next_step(state.step), tensors=tuple(tensors)
        )

    def _update_runs(self, runs, count, clock, training):
        """Updates and new states of some of `count` tensors, together."""
        found = [self.find_directions(run, clock, training) for run in runs]
        shapes = [shape for run in runs for shape in run.shapes]
        means = [joined(rows) for rows in zip(*(each.means for each in found))]
        peaks = ops.stack([s.peak for run in runs for s in run.states])
        measures = Measures(*means, ops.maximum(peaks, means[SECOND]))
        factors, decays, sizes = self.find_factors(
            measures, shapes, count, clock
        )
        lengths = [len(run.shapes) for run in runs]
        updates, states = [], []
        for run, each, *both in zip(
            runs, found, cut(factors, lengths), cut(decays, lengths)
        ):
            updates += run.layout.combined(
                *zip(both, (each.direction, each.decaying))
            )
            states += run.layout.cut(each.averages)
        if self.orthogonal:
            mixed = [
                part
                for run, each in zip(runs, found)
                for part in run.layout.cut(each.mixed)
            ]
            found = each_orthogonalized(mixed, shapes, self.epsilon)
            for index, shape in enumerate(shapes):
                if matrix_shape(shape) is not None:
                    updates[index] += sizes[index] * found[index]
        rows = len(DECAYS) + 1
        return (
            [ops.reshape(u, shape) for u, shape in zip(updates, shapes)],
            [
                GeneralTensorState(
                    ops.reshape(part, (rows, *shape)), measures.peak[index]
                )
                for index, (part, shape) in enumerate(zip(states, shapes))
            ],
        )

    def find_factors(
        self,
        measures: Measures,
        shapes: Sequence[Sequence[int]],
        count: int,
        clock: Clock,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """What multiplies the parts of some tensors' updates.

        Args:
            measures: `Measures` of the tensors.
            shapes: List of their shapes.
            count: Int. How many tensors the model has.
            clock: `Clock`.

        Returns:
            Tensors `(tensors,)` for directions, for what decays and for what
            is orthogonal, which may be `None`.
        """
        log_rates, log_shrinkages, shares = self.rates.find(
            measures, shapes, count, clock
        )
        rates = self.learning_rate * ops.exp(log_rates)
        decays = ops.minimum(rates * ops.exp(log_shrinkages), MOST_DECAY)
        decays = decays * self._where(shapes, lambda shape: len(shape) > 1)
        factors = rates * ops.exp(
            -0.5 * self.normalization * ops.log(4.0 * measures.direction + 4e-6)
        )
        if not self.orthogonal:
            return factors, decays, None
        share = shares[0] * self._where(shapes, matrix_shape)
        return factors * (1.0 - share), decays, ORTHOGONAL_SIZE * rates * share

    def _where(self, shapes, condition):
        """One for each tensor whose shape meets a condition, zero elsewhere."""
        return ops.convert_to_tensor(
            [float(bool(condition(shape))) for shape in shapes],
            self.variable_dtype,
        )

    def find_directions(self, run: Run, clock: Clock, training: bool) -> Found:
        """What is computed for each coordinate before rates are known.

        Args:
            run: `Run`, the tensors.
            clock: `Clock`.
            training: Bool. As in `update`.

        Returns:
            `Found`.
        """
        join = run.layout.join
        gradient = self.cast_gradient(join(run.gradients))
        rows = join([state.averages for state in run.states], 1)
        rows = self._averages(rows, gradient)
        corrections = clock.corrections((*DECAYS, self.beta_2))
        *momenta, second = ops.unstack(
            rows * corrections[:, None], len(DECAYS) + 1
        )
        scale = numerics.inverse_root(second, self.epsilon)
        directions = [momentum * scale for momentum in momenta]
        directions.append(ops.tanh(gradient * scale))
        direction = self.direction.combine(
            directions,
            clock.context,
            in_one_pass=not training and backend.fuses(gradient),
        )
        # Much reads it, and would compute it again.
        direction = backend.materialized(direction)
        parameter = ops.cast(join(run.parameters), self.variable_dtype)
        means = run.layout.means(
            [
                ops.square(parameter),
                ops.square(direction),
                ops.square(momenta[ADAM]),
                second,
                second * scale,
            ]
        )
        mixed = None
        if self.orthogonal:
            mixed = momenta[ADAM] + self.mix[0] * momenta[-1]
            mixed = mixed + self.mix[1] * gradient
        # Without a gradient there is no decay, either.
        decaying = parameter * second * ops.square(scale)
        return Found(rows, direction, decaying, mixed, means)

    def decays(self) -> Tensor:
        """The decays of the averages.

        Returns:
            Tensor `(4,)`.
        """
        decays = np.array([*DECAYS, self.beta_2])
        return ops.convert_to_tensor(decays, self.variable_dtype)

    def _averages(self, rows, gradient):
        """The averages `(4, coordinates)` after one more gradient."""
        decays = self.decays()[:, None]
        square = ops.square(gradient)
        new = ops.stack([gradient] * len(DECAYS) + [square])
        return average(rows, new, decays)

    def warm_up(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
    ) -> PolicyState:
        clock = Clock.of(state, self.variable_dtype, self.warmup)
        corrections = clock.corrections((*DECAYS, self.beta_2))
        tensors = []
        for gradient, tensor in zip(gradients, state.tensors):
            if gradient is not None:
                rows = ops.reshape(tensor.averages, (len(DECAYS) + 1, -1))
                flat = ops.reshape(self.cast_gradient(gradient), (-1,))
                rows = self._averages(rows, flat)
                second = ops.mean(rows[-1]) * corrections[-1]
                tensor = GeneralTensorState(
                    ops.reshape(rows, tensor.averages.shape),
                    ops.maximum(tensor.peak, second),
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
            "warmup": self.warmup,
            "epsilon": self.epsilon,
            "orthogonal": self.orthogonal,
            "passes": self.passes,
        }
