"""What every update rule has in common."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import numerics
from keras_l2o.policies.former import current
from keras_l2o.typing import Config
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor

#: The count of steps does not go beyond this number, the largest int32.
LAST_STEP = 2**31 - 1


class PolicyState(NamedTuple):
    """What a policy remembers from one step to the next.

    Attributes:
        step: int32 scalar tensor. How many updates were made, at most
            `2**31 - 1`.
        tensors: Tuple with the state of each parameter, a nest of tensors.
        shared: Nest of tensors that belong to no single parameter. Defaults
            to `()`.

    Example:

    >>> state = keras_l2o.policies.Adam().initial_state([np.zeros((2, 3))])
    >>> int(state.step), [tuple(m.shape) for m in state.tensors[0]]
    (0, [(2, 3), (2, 3)])
    """

    step: Any
    tensors: tuple
    shared: Any = ()


class Horizon(NamedTuple):
    """Which part of a state's steps is one training, and how long that is.

    Attributes:
        first: int32 scalar tensor. The number of steps before the training.
        total: int32 scalar tensor. The number of its steps, 0 if unknown.
        epoch_steps: int32 scalar tensor. After how many steps the same
            examples come again. Defaults to 0, which is unknown or never.

    Example:

    >>> keras_l2o.policies.Horizon(first=0, total=1000).total
    1000
    """

    first: Any
    total: Any
    epoch_steps: Any = 0


def no_horizon() -> Horizon:
    """The `Horizon` of a training of which nobody knows the length."""
    return told(Horizon(0, 0))


def told(horizon: Horizon) -> Horizon:
    """A `Horizon` as a policy's state holds it, of int32 tensors."""
    return Horizon(*(ops.cast(number, "int32") for number in horizon))


def next_step(step: Tensor) -> Tensor:
    """The count of updates after one more; it stops at `LAST_STEP`."""
    return step + ops.cast(step < LAST_STEP, step.dtype)


def float_step(step: Tensor, dtype: str) -> Tensor:
    """A count of updates as float32, or as float64 if the policy is.

    In a narrower type, adding 1 would change nothing after a few hundred
    steps.

    Args:
        step: Int scalar tensor.
        dtype: String, the policy's type.
    """
    return ops.cast(step, "float64" if dtype == "float64" else "float32")


class Policy(keras.layers.Layer):
    """Base class of update rules, which map gradients to updates.

    A policy is a pure function of its weights, its state and the gradients of
    a whole model. So the same object can train a model, as the policy of a
    `LearnedOptimizer`, and be trained itself, by `MetaTrainer`. A subclass
    implements `initial_state` and `update`. A rule that treats every
    coordinate alike derives from `CoordinatewisePolicy` instead, which takes
    less code and runs faster.

    A class of your own can be trained, saved and loaded like any other, if it
    is registered with Keras and its `get_config` returns the arguments of the
    constructor. To load one, name its class in `custom_objects`.

    Args:
        name: String. Defaults to `None`, the class's name in snake case.
        dtype: String or `keras.DTypePolicy`, the type of the policy's weights
            and state. Keras's global dtype policy has no influence on it.
            Defaults to `"float32"`.
        **kwargs: Further arguments of `keras.layers.Layer`.

    Example:

    >>> @keras.saving.register_keras_serializable(package="mine")
    ... class MyRule(keras_l2o.policies.Policy):
    ...     def build(self, input_shape=None):
    ...         self.rate = self.add_weight((), "zeros", name="log_rate")
    ...         self.built = True
    ...     def initial_state(self, parameters):
    ...         return keras_l2o.policies.PolicyState(
    ...             keras.ops.zeros((), "int32"), ((),) * len(parameters))
    ...     def update(self, gradients, parameters, state, training=False):
    ...         rate = 0.01 * keras.ops.exp(self.rate)
    ...         updates = [None if g is None else rate * g for g in gradients]
    ...         return updates, state._replace(step=state.step + 1)
    >>> keras_l2o.save(keras_l2o.LearnedOptimizer(MyRule()), "my-rule")
    >>> optimizer = keras_l2o.load(
    ...     "my-rule", custom_objects={"mine>MyRule": MyRule})
    """

    #: Whether the update of a coordinate depends on that coordinate alone.
    coordinatewise = False
    #: Whether the update depends on how far a training is.
    reads_horizon = False
    #: Whether there are `rested` and `update_table`: rows of a table, such as
    #: an embedding's, that have no gradient can wait for their next one.
    rests: Any = False
    #: Whether meta-training on TensorFlow, on a processor, compiles the update
    #: by itself: worth it for a recurrent network over all coordinates. Nothing
    #: in it may be random.
    own_program = False
    #: Arguments by former names: dict from these to the names of today.
    former: Mapping[str, str] = {}
    #: Arguments that came later: dict from names to what they were before.
    later: Mapping[str, Any] = {}

    def __init__(
        self, name: str | None = None, dtype: Any = "float32", **kwargs: Any
    ) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)

    def build(self, input_shape: Any = None) -> None:
        """Creates the policy's weights.

        Args:
            input_shape: Not used: the weights do not depend on the model that
                the policy will train. Defaults to `None`.
        """
        self.built = True

    def initial_state(self, parameters: Sequence[Tensor]) -> PolicyState:
        """The state before the first step.

        Args:
            parameters: List of tensors or variables; only shapes are used.

        Returns:
            A `PolicyState`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `initial_state`."
        )

    def update(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
        training: bool = False,
    ) -> tuple[list[Tensor | None], PolicyState]:
        """Makes one step.

        Args:
            gradients: List of tensors, `None` for a parameter without one.
            parameters: List of tensors of the same shapes.
            state: The `PolicyState` before the step.
            training: Bool. Whether the policy itself is being trained. Only
                rules that explore, such as `Choice`, make a difference.
                Defaults to `False`.

        Returns:
            List of updates, to be subtracted from the parameters (`None`
            where the gradient is `None`), and the new `PolicyState`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `update`."
        )

    def warm_up(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
    ) -> PolicyState:
        """The state after a step in which another rule made the update.

        Averages of the gradient move as in `update`; the states of recurrent
        networks stay as they are.

        Args:
            gradients: List of tensors, `None` for a parameter without one.
            parameters: List of tensors of the same shapes.
            state: The `PolicyState` before the step.

        Returns:
            The new `PolicyState`.
        """
        return self.update(gradients, parameters, state)[1]

    def call(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
        training: bool = False,
    ) -> tuple[list[Tensor | None], PolicyState]:
        """Makes one step, as `update` does: Keras calls this method.

        Args:
            gradients: As in `update`.
            parameters: As in `update`.
            state: As in `update`.
            training: As in `update`. Defaults to `False`.

        Returns:
            What `update` returns.
        """
        return self.update(gradients, parameters, state, training)

    def rested(self, tensor: Nest, steps: Tensor) -> Nest:
        """The state of rows after some steps in which they had no gradient.

        Args:
            tensor: State of a parameter `(rows, columns)`.
            steps: Float tensor `(rows, 1)`, how many steps.

        Returns:
            The new state.
        """
        raise NotImplementedError(f"{type(self).__name__} does not rest.")

    def sums_of_table(self, tensor: Nest) -> Tensor:
        """What `update_table` keeps of a whole table, from its state.

        Args:
            tensor: State of a parameter `(rows, columns)`.

        Returns:
            Tensor `(sums,)`; by default nothing, `(0,)`.
        """
        return ops.zeros((0,), self.variable_dtype)

    def update_table(
        self, table: Any, state: PolicyState, whole: Nest, sums: Tensor
    ) -> tuple[Nest, Tensor]:
        """Makes one step for a table, of whose rows some have a gradient.

        What `update` does for a parameter, but that rows without a gradient
        do not move.

        Args:
            table: What the optimizer has of the table; see
                `keras_l2o.table_step.TableStep`.
            state: `PolicyState` before the step, without tensors.
            whole: List of those tensors of the table's state that belong to
                no row.
            sums: What `sums_of_table` or the last step returned.

        Returns:
            New `whole` and `sums`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not rest.")

    def with_horizon(self, state: PolicyState, horizon: Horizon) -> PolicyState:
        """The state, told which steps the training has.

        A policy whose `reads_horizon` is true keeps this in its state.

        Args:
            state: `PolicyState`.
            horizon: `Horizon`.

        Returns:
            The new `PolicyState`; by default the old one.
        """
        return state

    def cast_gradient(self, gradient: Tensor) -> Tensor:
        """Casts a gradient to the policy's type and clips it.

        The bound is so large that the square of a clipped gradient still has
        room in its type. Gradients of a training that works are far below it.

        Args:
            gradient: Tensor.

        Returns:
            Tensor of the same shape.
        """
        bound = numerics.root_of_largest(self.variable_dtype)
        gradient = ops.cast(gradient, self.variable_dtype)
        return ops.clip(gradient, -bound, bound)

    def copy(self) -> "Policy":
        """Makes a policy with the same configuration and the same weights.

        Returns:
            A new object of the same class, built.
        """
        twin = type(self).from_config(self.get_config())
        if not twin.built:
            twin.build(None)
        twin.set_weights(self.get_weights())
        return twin

    def get_config(self) -> Config:
        return {"name": self.name, "dtype": self.dtype_policy.name}

    @classmethod
    def from_config(cls, config: Config) -> "Policy":
        return super().from_config(current(cls, config))
