import base64

import keras
import numpy as np
from keras import ops

from keras_l2o import backend
from keras_l2o import keras_internals
from keras_l2o import saved_state
from keras_l2o.optimizer_state import make_state
from keras_l2o.policies import as_policy
from keras_l2o.policies.arguments import check_count
from keras_l2o.policies.arguments import check_flag
from keras_l2o.policies.arguments import check_number
from keras_l2o.state_variables import scope


@keras.saving.register_keras_serializable(package="keras_l2o")
class LearnedOptimizer(keras_internals.WholeModelOptimizer):
    """Trains a model with a policy, learned or not.

    Use it wherever Keras takes an optimizer. Clipping, weight decay, moving
    averages, gradient accumulation, loss scaling and distribution are those
    of every Keras optimizer.

    Args:
        policy: A `keras_l2o.policies.Policy`, or a Keras optimizer to be
            wrapped as one.
        learning_rate: Float, schedule or callable. Multiplies the update.
            Defaults to `1.0`, the rate at which the policy was trained.
        warmup_steps: Int. First steps, made by plain gradient descent while
            the policy's moments of the gradient accumulate. Defaults to `0`.
        warmup_rate: Float. Rate of that gradient descent. Defaults to `0.05`.
        state_dtype: `"float32"` or `"bfloat16"`, in which the policy's state
            is kept between steps; it is computed in the policy's own type.
            `"bfloat16"` halves the memory that the state takes. Averages of
            the gradient are rounded at random, up or down, so that small
            changes count in the mean; hidden states of networks to the
            nearest. Defaults to `None`, the policy's own.
        skip_nonfinite: Bool. Whether a step whose gradient is not finite, or
            so large that the sum of its squares is not, leaves the weights
            and the policy's state as they were. `skipped_steps` counts such
            steps. Defaults to `True`.
        weight_decay: Float, or `None` for none. As in
            `keras.optimizers.AdamW`: each step takes `learning_rate *
            weight_decay_rate * weight_decay` of a weight off it, decoupled
            from the update. What is known from AdamW, such as 0.004 or 0.1,
            does what it does there at AdamW's default rate, and a schedule
            of `learning_rate` scales both. Defaults to `None`.
        weight_decay_rate: Float. The rate of AdamW that a `learning_rate` of
            1 stands for. Give 1 where `learning_rate` itself is a rate as
            Adam's, as with `policies.Adam(1.0)`. Defaults to `0.001`.
        source: String that says exactly which optimizer this is, such as
            `"min-max/1@sha256:..."`. `from_hub` and `load` give it, and a
            saved model keeps it. Defaults to `None`.
        clipnorm, clipvalue, global_clipnorm, use_ema,
        ema_momentum, ema_overwrite_frequency, loss_scale_factor,
        gradient_accumulation_steps, name: As in every
            `keras.optimizers.Optimizer`.

    Attributes:
        skipped_steps: int32 variable, steps that were skipped, once the
            optimizer is built.

    Example:

    >>> import keras, keras_l2o
    >>> optimizer = keras_l2o.LearnedOptimizer(keras_l2o.policies.RNNProp())
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    >>> model.compile(optimizer=optimizer, loss="mse")

    Reference:
        - [Loshchilov and Hutter, 2019](https://arxiv.org/abs/1711.05101), for
          the decay
    """

    def __init__(
        self,
        policy,
        learning_rate=1.0,
        warmup_steps=0,
        warmup_rate=0.05,
        name="learned_optimizer",
        source=None,
        state_dtype=None,
        skip_nonfinite=True,
        weight_decay_rate=1e-3,
        **kwargs,
    ):
        if isinstance(learning_rate, (bool, int, float)):
            learning_rate = check_number("learning_rate", learning_rate)
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        if not isinstance(source, (str, type(None))):
            raise ValueError(
                "Argument `source` must be a string or `None`. Received: "
                f"source={source!r}"
            )
        if state_dtype not in (None, "float32", "bfloat16"):
            raise ValueError(
                "Argument `state_dtype` must be 'float32', 'bfloat16' or "
                f"`None`. Received: state_dtype={state_dtype!r}"
            )
        # Behind a closure: Keras tracks what attributes of lists hold.
        self._policy_state = lambda: None
        self.source = source
        self.state_dtype = state_dtype
        self.warmup_steps = check_count("warmup_steps", warmup_steps)
        self.warmup_rate = check_number("warmup_rate", warmup_rate, least=0.0)
        self.skip_nonfinite = check_flag("skip_nonfinite", skip_nonfinite)
        self.weight_decay_rate = check_number(
            "weight_decay_rate", weight_decay_rate, least=0.0
        )
        self.skipped_steps = None
        self.policy = as_policy(policy)
        if not self.policy.built:
            self.policy.build(None)

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        state = make_state(self, variables) if variables else None
        self._policy_state = lambda: state
        if variables:
            with scope(self, variables[0]):
                self.skipped_steps = self.add_variable(
                    shape=(), dtype="int32", name="skipped_steps"
                )

    @property
    def policy_state(self):
        """The policy's `PolicyState` after the last step, as tensors.

        The leaves that belong to a variable end with the variable's shape.
        """
        return self._policy_state().read()

    def update_all(self, gradients, variables, learning_rate):
        indices = [self.index_of(variable) for variable in variables]
        # The decay is a part of the step, and skipped with it.
        decays = [
            self.weight_decay * self.weight_decay_rate
            if self.weight_decay and self.is_decayed(variable)
            else None
            for variable in variables
        ]

        def step(gradients, variables, learning_rate):
            self._policy_step(
                indices, decays, gradients, variables, learning_rate
            )

        backend.update_variables(
            step,
            gradients,
            variables,
            learning_rate,
            keras_internals.distribution_strategy(self),
        )

    def _policy_step(
        self, indices, decays, gradients, variables, learning_rate
    ):
        """Updates variables and state, on one replica.

        Args:
            indices: Positions of the variables among those that the optimizer
                was built with; the others have no gradient in this step.
            decays: List of floats, the share of each variable that decays at
                a learning rate of 1, or `None`.
            gradients, variables: Lists of the same length.
            learning_rate: Scalar tensor.
        """
        # Sparse gradients of embeddings become dense here; the policy's state
        # has to move for rows without gradient, too.
        gradients = [
            ops.reshape(ops.convert_to_tensor(gradient), variable.shape)
            for gradient, variable in zip(gradients, variables)
        ]
        counts = None
        if self.skip_nonfinite:
            # Not finite where a number is not, or is beyond some 1e19.
            counts = ops.isfinite(backend.sum_of_squares(gradients))
            skipped = 1 - ops.cast(counts, "int32")
            self.assign_add(self.skipped_steps, skipped)
            known = backend.known(counts)
            if known is not None:
                if not known:
                    return
                counts = None
        parameters = keras_internals.trained_variables(self)
        all_gradients = [None] * len(parameters)
        for index, gradient, variable in zip(indices, gradients, variables):
            all_gradients[index] = gradient
            parameters[index] = backend.read(variable)
        updates = self._policy_state().step(all_gradients, parameters, counts)
        for index, decay, variable in zip(indices, decays, variables):
            update = updates[index]
            rate = ops.cast(learning_rate, update.dtype)
            if decay is not None:
                decayed = decay * ops.cast(parameters[index], update.dtype)
                if counts is not None:
                    decayed = decayed * ops.cast(counts, update.dtype)
                update = update + decayed
            self.assign_sub(variable, ops.cast(rate * update, variable.dtype))

    def save_own_variables(self, store):
        saved_state.save(self, self._policy_state(), store)

    def load_own_variables(self, store):
        saved_state.load(self, self._policy_state(), store)

    def get_config(self):
        return {
            **super().get_config(),
            "policy": keras.saving.serialize_keras_object(self.policy),
            "policy_weights": [
                _encode(weight) for weight in self.policy.get_weights()
            ],
            "warmup_steps": self.warmup_steps,
            "warmup_rate": self.warmup_rate,
            "source": self.source,
            "state_dtype": self.state_dtype,
            "skip_nonfinite": self.skip_nonfinite,
            "weight_decay_rate": self.weight_decay_rate,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        weights = config.pop("policy_weights", None)
        policy = config["policy"]
        if isinstance(policy, dict):
            policy = keras.saving.deserialize_keras_object(
                policy, custom_objects=custom_objects
            )
        if not policy.built:
            policy.build(None)
        if weights is not None:
            policy.set_weights([_decode(weight) for weight in weights])
        config["policy"] = policy
        return super().from_config(config, custom_objects)


def _encode(array):
    """A weight as JSON: a config without the weights would be another rule."""
    array = np.asarray(array)
    return {
        "shape": list(array.shape),
        "dtype": array.dtype.newbyteorder("<").str,
        "base64": base64.b64encode(
            array.astype(array.dtype.newbyteorder("<")).tobytes()
        ).decode("ascii"),
    }


def _decode(encoded):
    data = np.frombuffer(
        base64.b64decode(encoded["base64"]), dtype=encoded["dtype"]
    )
    return data.reshape(encoded["shape"])
