import warnings

import keras
from keras import ops

from keras_l2o import backend
from keras_l2o.policies.policy import Policy
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.policy import next_step


@keras.saving.register_keras_serializable(package="keras_l2o")
class KerasOptimizer(Policy):
    """Any `keras.optimizers.Optimizer` as an update rule.

    The optimizer is run as a function: its variables are the policy's state,
    and the optimizer handed in is never changed. It sees whole tensors, so
    that rules with clipping by norm, factored moments or orthogonalization
    (Adafactor, Muon) are exact.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, or anything that
            `keras.optimizers.get` takes.

    Example:

    >>> import keras, keras_l2o
    >>> teacher = keras_l2o.policies.KerasOptimizer(
    ...     keras.optimizers.Lion(1e-3))
    """

    def __init__(self, optimizer, **kwargs):
        optimizer = keras.optimizers.get(optimizer)
        kwargs.setdefault("name", optimizer.name)
        super().__init__(**kwargs)
        self.optimizer = optimizer
        self._functional = []  # (shapes, optimizer built for them, its values)

    def initial_state(self, parameters):
        _, values = self._functional_for(parameters)
        return PolicyState(
            step=ops.zeros((), "int32"),
            tensors=((),) * len(parameters),
            shared=tuple(ops.convert_to_tensor(value) for value in values),
        )

    def update(self, gradients, parameters, state, training=False):
        # Nothing is differentiated through Keras's rules: their roots have an
        # infinite slope at zero.
        gradients = [
            None if gradient is None else ops.stop_gradient(gradient)
            for gradient in gradients
        ]
        if all(gradient is None for gradient in gradients):
            return gradients, state
        optimizer, _ = self._functional_for(parameters)
        parameters = [ops.stop_gradient(backend.read(p)) for p in parameters]
        with warnings.catch_warnings():
            # Who calls a policy with a gradient missing knows that it is.
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

    def get_config(self):
        config = keras.optimizers.serialize(self.optimizer)
        public = vars(keras.optimizers).get(config["class_name"])
        if isinstance(public, type) and isinstance(self.optimizer, public):
            # On torch the class is a private one that only torch has.
            config = {**config, "module": "keras.optimizers"}
        return {**super().get_config(), "optimizer": config}


def as_policy(rule):
    """Returns a policy as it is, and a Keras optimizer as a policy.

    Args:
        rule: A `Policy`, or anything that `keras.optimizers.get` takes.
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
