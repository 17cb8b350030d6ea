"""What rules that treat every coordinate alike have in common."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_l2o.policies.policy import Policy
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.policy import float_step
from keras_l2o.policies.policy import next_step
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


class CoordinatewisePolicy(Policy):
    """Base class of rules that treat every coordinate of a model alike.

    A subclass implements `tensor_update`, and `tensor_state` if it has a
    state, for one tensor of any shape. The update of a coordinate must not
    depend on other coordinates: a caller may pass the parameters of a whole
    model as one flat tensor.

    Args:
        name: String. Defaults to `None`, the class's name in snake case.
        dtype: String or `keras.DTypePolicy`, as in `Policy`. Defaults to
            `"float32"`.
        **kwargs: Further arguments of `keras.layers.Layer`.

    Example:

    >>> @keras.saving.register_keras_serializable(package="mine")
    ... class Sign(keras_l2o.policies.CoordinatewisePolicy):
    ...     def tensor_update(self, gradient, parameter, state, step):
    ...         return 0.001 * keras.ops.sign(gradient), state
    >>> optimizer = keras_l2o.LearnedOptimizer(Sign())
    """

    coordinatewise = True

    def tensor_state(self, parameter: Tensor) -> Nest:
        """The state of one parameter before the first step.

        Args:
            parameter: Tensor or variable; only its shape is used.

        Returns:
            Nest of tensors, each with axes for features, if it has any, and
            then the axes of the parameter.
        """
        return ()

    def tensor_update(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> tuple[Tensor, Nest]:
        """Makes one step for one parameter.

        Args:
            gradient: Tensor.
            parameter: Tensor of the same shape.
            state: Nest, what `tensor_state` or the last step returned.
            step: Float scalar tensor, the number of this update, from 1.

        Returns:
            Tensor of the same shape, to be subtracted from the parameter, and
            the new state.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `tensor_update`."
        )

    def fast_tensor_update(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> tuple[Tensor, Nest]:
        """Makes a step that nothing is differentiated through.

        It is what a training with the policy calls, and `tensor_update` what
        meta-training calls. A subclass may have a form of the same step whose
        gradient would be slow.

        Args:
            gradient: As in `tensor_update`.
            parameter: As in `tensor_update`.
            state: As in `tensor_update`.
            step: As in `tensor_update`.

        Returns:
            What `tensor_update` returns.
        """
        return self.tensor_update(gradient, parameter, state, step)

    def tensor_warm_up(
        self, gradient: Tensor, parameter: Tensor, state: Nest, step: Tensor
    ) -> Nest:
        """The new state alone, after a step that another rule has made.

        Args:
            gradient: As in `tensor_update`.
            parameter: As in `tensor_update`.
            state: As in `tensor_update`.
            step: As in `tensor_update`.

        Returns:
            Nest, the new state.
        """
        return self.tensor_update(gradient, parameter, state, step)[1]

    def initial_state(self, parameters: Sequence[Tensor]) -> PolicyState:
        return PolicyState(
            step=ops.zeros((), "int32"),
            tensors=tuple(self.tensor_state(p) for p in parameters),
        )

    def update(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
        training: bool = False,
    ) -> tuple[list[Tensor | None], PolicyState]:
        # `training` goes no further: rules that draw noise while they are
        # trained would need to know which coordinate is which.
        tensor_update = (
            self.tensor_update if training else self.fast_tensor_update
        )
        step = float_step(next_step(state.step), self.variable_dtype)
        updates, tensors = [], []
        for gradient, parameter, tensor in zip(
            gradients, parameters, state.tensors
        ):
            update = None
            if gradient is not None:
                update, tensor = tensor_update(
                    self.cast_gradient(gradient),
                    self._cast(parameter),
                    tensor,
                    step,
                )
            updates.append(update)
            tensors.append(tensor)
        return updates, PolicyState(next_step(state.step), tuple(tensors))

    def update_table(
        self, table: Any, state: PolicyState, whole: Nest, sums: Tensor
    ) -> tuple[Nest, Tensor]:
        def step(gradient, parameter, tensor, kept):
            [update], after = self.update(
                [gradient], [parameter], state._replace(tensors=(tensor,))
            )
            return update, after.tensors[0]

        table.step(step)
        return whole, sums

    def warm_up(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
    ) -> PolicyState:
        step = float_step(next_step(state.step), self.variable_dtype)
        tensors = [
            tensor
            if gradient is None
            else self.tensor_warm_up(
                self.cast_gradient(gradient),
                self._cast(parameter),
                tensor,
                step,
            )
            for gradient, parameter, tensor in zip(
                gradients, parameters, state.tensors
            )
        ]
        return PolicyState(next_step(state.step), tuple(tensors))

    def zeros(self, parameter: Tensor, *features: int) -> Tensor:
        """Zeros in the policy's type, for `tensor_state`.

        Args:
            parameter: Tensor or variable.
            *features: Ints, the sizes of axes before those of the parameter.

        Returns:
            Tensor `(*features, *parameter.shape)`.
        """
        return ops.zeros((*features, *parameter.shape), self.variable_dtype)

    def _cast(self, tensor):
        return ops.cast(tensor, self.variable_dtype)
