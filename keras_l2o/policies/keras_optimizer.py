"""Optimizers of Keras as policies."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_l2o import backend
from keras_l2o.policies.policy import Policy
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.policy import next_step
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_l2o")
class KerasOptimizer(Policy):
    """Any `keras.optimizers.Optimizer` as an update rule.

    The optimizer is run as a pure function: its variables become the policy's
    state, and the object that you pass is never changed. It sees whole
    tensors, so that rules with clipping by norm, factored moments or
    orthogonalization (Adafactor, Muon) do exactly what they do in Keras.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, or anything that
            `keras.optimizers.get` takes, such as its name.
        **kwargs: `name`, which defaults to the optimizer's own, and `dtype`,
            as in `Policy`.

    Raises:
        ValueError: The optimizer is a `keras.optimizers.LossScaleOptimizer`.

    Example:

    >>> lion = keras_l2o.policies.KerasOptimizer(keras.optimizers.Lion(0.5))
    >>> parameters, gradients = [keras.ops.zeros(1)], [keras.ops.ones(1)]
    >>> state = lion.initial_state(parameters)
    >>> [update], state = lion.update(gradients, parameters, state)
    >>> np.array(update).tolist()
    [0.5]
    """

    def __init__(self, optimizer: Any, **kwargs: Any) -> None:
        optimizer = keras.optimizers.get(optimizer)
        check_no_loss_scaling(optimizer)
        kwargs.setdefault("name", optimizer.name)
        super().__init__(**kwargs)
        self.optimizer = optimizer
        # Of (shapes, optimizer that was built for them, its first values).
        self._functional: list[tuple[Any, Any, Any]] = []

    def initial_state(self, parameters: Sequence[Tensor]) -> PolicyState:
        _, values = self._functional_for(parameters)
        return PolicyState(
            step=ops.zeros((), "int32"),
            tensors=((),) * len(parameters),
            shared=tuple(ops.convert_to_tensor(value) for value in values),
        )

    def update(
        self,
        gradients: Sequence[Tensor | None],
        parameters: Sequence[Tensor],
        state: PolicyState,
        training: bool = False,
    ) -> tuple[list[Tensor | None], PolicyState]:
        # Meta-training must not differentiate through Keras's rules, whose
        # square roots have an infinite slope at zero.
        gradients = [
            None if gradient is None else ops.stop_gradient(gradient)
            for gradient in gradients
        ]
        if all(gradient is None for gradient in gradients):
            return gradients, state
        optimizer, _ = self._functional_for(parameters)
        # It divides them by its `loss_scale_factor`, if it has one.
        gradients = [
            None if gradient is None else optimizer.scale_loss(gradient)
            for gradient in gradients
        ]
        parameters = [ops.stop_gradient(backend.read(p)) for p in parameters]
        with warnings.catch_warnings():
            # Gradients that are missing are no surprise to who calls a policy.
            warnings.filterwarnings("ignore", "Gradients do not exist")
            new_parameters, shared = optimizer.stateless_apply(
                list(state.shared), gradients, parameters
            )
        updates = [
            None if gradient is None else old - new
            for gradient, old, new in zip(gradients, parameters, new_parameters)
        ]
        state = PolicyState(next_step(state.step), state.tensors, tuple(shared))
        return updates, state

    def _functional_for(self, parameters):
        """The optimizer built for these shapes, and its first values."""
        shapes = tuple(tuple(parameter.shape) for parameter in parameters)
        for known, optimizer, values in self._functional:
            if known == shapes:
                return optimizer, values
        optimizer = backend.functional_optimizer(self.optimizer)
        optimizer.build(
            [
                keras.Variable(ops.zeros(shape, self.variable_dtype))
                for shape in shapes
            ]
        )
        values = [variable.numpy() for variable in optimizer.variables]
        self._functional.append((shapes, optimizer, values))
        return optimizer, values

    def get_config(self) -> Config:
        config = keras.optimizers.serialize(self.optimizer)
        public = vars(keras.optimizers).get(config["class_name"])
        if isinstance(public, type) and isinstance(self.optimizer, public):
            # With torch the object's class is a private one, which no other
            # backend has.
            config = {**config, "module": "keras.optimizers"}
        return {**super().get_config(), "optimizer": config}


def as_policy(rule: Any) -> Policy:
    """Wraps a Keras optimizer as a policy; a policy is returned as it is.

    Args:
        rule: A `Policy`, or anything that `keras.optimizers.get` takes.

    Returns:
        A `Policy`.

    Raises:
        ValueError: It is neither.

    Example:

    >>> keras_l2o.policies.as_policy("adam").name
    'adam'
    """
    if isinstance(rule, Policy):
        return rule
    if isinstance(rule, (keras.optimizers.Optimizer, str, dict)):
        return KerasOptimizer(rule)
    raise ValueError(
        "A teacher or student must be a `keras_l2o.policies.Policy` or a "
        f"`keras.optimizers.Optimizer`. Received: {rule!r} of type "
        f"{type(rule)}"
    )


def check_no_loss_scaling(optimizer: keras.optimizers.Optimizer) -> None:
    """Refuses an optimizer around another that scales the loss for float16.

    Args:
        optimizer: A `keras.optimizers.Optimizer`.

    Raises:
        ValueError: It is a `keras.optimizers.LossScaleOptimizer`.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            "A `LossScaleOptimizer` divides gradients by a scale with which "
            "`keras.Model.fit` has multiplied the loss. Here no loss is "
            "scaled: pass its `inner_optimizer` instead. "
            f"Received: {optimizer!r}"
        )
