from typing import Any
from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import numerics
from keras_l2o.policies.former import renamed

#: Where the count of steps stops, which 32 bits hold.
LAST_STEP = 2**31 - 1


class PolicyState(NamedTuple):
    """What a policy remembers between two steps.

    Attributes:
        step: int32 scalar. Updates made so far, at most `LAST_STEP`.
        tensors: Tuple with the state of each parameter, a nest of tensors.
        shared: Nest of tensors that belong to no single parameter.
    """

    step: Any
    tensors: tuple
    shared: Any = ()


def next_step(step):
    """The count of updates after one more; it never wraps around."""
    return step + ops.cast(step < LAST_STEP, step.dtype)


def float_step(step, dtype):
    """A count of updates as a float, wide enough to count with.

    Args:
        step: Int scalar.
        dtype: String, the policy's type. What is narrower than float32 would
            stop to count after a few hundred steps.
    """
    return ops.cast(step, "float64" if dtype == "float64" else "float32")


class Policy(keras.layers.Layer):
    """Base class of update rules: gradients in, updates out.

    A policy is a pure function of its weights and its state, so that the same
    object trains a user's model inside `LearnedOptimizer` and is itself
    trained by `MetaTrainer`. It sees the whole model at once. A subclass
    implements `initial_state` and `update`; a rule that treats every
    coordinate alike derives from `CoordinatewisePolicy` instead.

    Args:
        name: String. Defaults to the class's name in snake case.
        dtype: String. Type of the policy's weights and state, independent of
            the global dtype policy. Defaults to `"float32"`.

    A rule of your own trains, is saved and is loaded like any other, if it is
    registered and its `get_config` returns the constructor's arguments. Whoever
    loads it has to name its class.

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

    #: Whether a coordinate's update depends on that coordinate alone.
    coordinatewise = False
    #: Arguments by former names: dict from these to the names of today.
    former = {}

    def __init__(self, name=None, dtype="float32", **kwargs):
        super().__init__(name=name, dtype=dtype, **kwargs)

    def build(self, input_shape=None):
        """Creates the weights; their shapes do not depend on the optimizee."""
        self.built = True

    def initial_state(self, parameters):
        """State before the first step.

        Args:
            parameters: List of tensors or variables; only shapes are used.

        Returns:
            A `PolicyState`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `initial_state`."
        )

    def update(self, gradients, parameters, state, training=False):
        """One step of the rule.

        Args:
            gradients: List of tensors, `None` for a parameter that has none.
            parameters: List of tensors of the same shapes.
            state: The `PolicyState` before the step.
            training: Bool. Whether the policy itself is being trained by this
                step, as against used. Few rules differ. Defaults to `False`.

        Returns:
            The updates, to be subtracted from the parameters (`None` where the
            gradient is), and the new `PolicyState`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `update`."
        )

    def warm_up(self, gradients, parameters, state):
        """State after a step in which another rule made the update.

        Moments of the gradient accumulate; recurrent state does not.
        Takes what `update` takes, but for `training`.
        """
        return self.update(gradients, parameters, state)[1]

    def call(self, gradients, parameters, state, training=False):
        return self.update(gradients, parameters, state, training)

    def cast_gradient(self, gradient):
        """The gradient in the policy's type, and so bounded that its square is.

        Nothing that a training comes to by itself is changed by it.
        """
        bound = numerics.root_of_largest(self.variable_dtype)
        gradient = ops.cast(gradient, self.variable_dtype)
        return ops.clip(gradient, -bound, bound)

    def copy(self):
        """A policy of the same configuration with the same weights."""
        twin = type(self).from_config(self.get_config())
        if not twin.built:
            twin.build(None)
        twin.set_weights(self.get_weights())
        return twin

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype_policy.name}

    @classmethod
    def from_config(cls, config):
        return super().from_config(renamed(config, cls.former))


class CoordinatewisePolicy(Policy):
    """A rule that treats every coordinate alike, whatever tensor it is in.

    A subclass implements `tensor_state(parameter)` and
    `tensor_update(gradient, parameter, state, step)` for one tensor of any
    shape. Because coordinates do not see each other, a caller may hand all of
    them over as one flat tensor.

    Example:

    >>> import keras, keras_l2o
    >>> @keras.saving.register_keras_serializable(package="mine")
    ... class Sign(keras_l2o.policies.CoordinatewisePolicy):
    ...     def tensor_update(self, gradient, parameter, state, step):
    ...         return 0.001 * keras.ops.sign(gradient), state
    >>> optimizer = keras_l2o.LearnedOptimizer(Sign())
    """

    coordinatewise = True

    def tensor_state(self, parameter):
        """State of one parameter: a nest whose leaves end with its shape."""
        return ()

    def tensor_update(self, gradient, parameter, state, step):
        """Update of one parameter.

        Args:
            gradient: Tensor.
            parameter: Tensor of the same shape.
            state: As `tensor_state` returns it.
            step: Float scalar, the number of this update, from 1; see
                `float_step`.

        Returns:
            The update, to be subtracted, and the new state.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `tensor_update`."
        )

    def tensor_warm_up(self, gradient, parameter, state, step):
        """The new state alone, for `warm_up`."""
        return self.tensor_update(gradient, parameter, state, step)[1]

    def initial_state(self, parameters):
        return PolicyState(
            step=ops.zeros((), "int32"),
            tensors=tuple(self.tensor_state(p) for p in parameters),
        )

    def update(self, gradients, parameters, state, training=False):
        # `training` goes no further: noise that told coordinates apart would
        # not be coordinatewise.
        step = float_step(next_step(state.step), self.variable_dtype)
        updates, tensors = [], []
        for gradient, parameter, tensor in zip(
            gradients, parameters, state.tensors
        ):
            update = None
            if gradient is not None:
                update, tensor = self.tensor_update(
                    self.cast_gradient(gradient),
                    self._cast(parameter),
                    tensor,
                    step,
                )
            updates.append(update)
            tensors.append(tensor)
        return updates, PolicyState(next_step(state.step), tuple(tensors))

    def warm_up(self, gradients, parameters, state):
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

    def zeros(self, parameter, *features):
        """Zeros of a parameter's shape, with axes for features before it."""
        return ops.zeros((*features, *parameter.shape), self.variable_dtype)

    def _cast(self, tensor):
        return ops.cast(tensor, self.variable_dtype)
