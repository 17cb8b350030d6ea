"""A policy as a Keras optimizer."""

import functools
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import MutableMapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_l2o import backend
from keras_l2o import keras_internals
from keras_l2o import policy_step
from keras_l2o import saved_state
from keras_l2o.encoding import decode
from keras_l2o.encoding import encode
from keras_l2o.optimizer_state import make_state
from keras_l2o.policies import as_policy
from keras_l2o.policies.arguments import MOST
from keras_l2o.policies.arguments import check_count
from keras_l2o.policies.arguments import check_flag
from keras_l2o.policies.arguments import check_number
from keras_l2o.policies.policy import Horizon
from keras_l2o.policies.policy import Policy
from keras_l2o.policies.policy import PolicyState
from keras_l2o.state_variables import scope
from keras_l2o.typing import Config
from keras_l2o.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_l2o")
class LearnedOptimizer(keras_internals.WholeModelOptimizer):
    """A Keras optimizer that trains a model with a policy, learned or not.

    Use it wherever Keras takes an optimizer. Clipping, moving averages,
    gradient accumulation, loss scaling and distribution work as in every
    Keras optimizer.

    Args:
        policy: A `keras_l2o.policies.Policy`, or a Keras optimizer, which is
            then wrapped as a policy.
        learning_rate: Float, `keras.optimizers.schedules.LearningRateSchedule`
            or function without arguments. Multiplies the update. Defaults to
            `1.0`, the rate at which the policy was trained.
        warmup_steps: Int. The first so many steps are plain gradient descent,
            while the policy's averages of the gradient build up. Defaults to
            `0`.
        warmup_rate: Float. The learning rate of that gradient descent.
            Defaults to `0.05`.
        name: String. The optimizer's name. Defaults to `"learned_optimizer"`.
        source: String that says exactly which optimizer this is, such as
            `"min-max/1@sha256:..."`. `from_hub` and `load` set it, and a
            saved model keeps it. Defaults to `None`.
        state_dtype: `"float32"` or `"bfloat16"`, the type in which the
            policy's state is stored between steps. `"bfloat16"` halves the
            memory that the state takes; each step still computes in the
            policy's own type. Averages of the gradient are then rounded up or
            down at random, so that small changes add up in the mean, and
            hidden states of networks are rounded to the nearest. Defaults to
            `None`, the policy's own type.
        skip_nonfinite: Bool. If `True`, a step whose gradient has a NaN or an
            infinity in it, or is so large that the sum of its squares
            overflows, changes neither the weights nor the policy's state;
            `skipped_steps` counts such steps. Defaults to `True`.
        weight_decay_rate: Float. How large a rate of AdamW a `learning_rate`
            of 1 stands for when weights decay. Use `1.0` if `learning_rate`
            itself is a rate like Adam's, as with `policies.Adam(1.0)`.
            Defaults to `0.001`, the default rate of AdamW.
        total_steps: Int. How many update steps the training has, for a policy
            whose `reads_horizon` is true: it goes from long strides at the
            start to short ones at the end. `keras_l2o.callbacks.Horizon` reads
            the number from `fit`. Defaults to `None`, unknown.
        epoch_steps: Int. After how many update steps the same examples come
            again, for such a policy. Defaults to `None`, unknown or never.
        lazy_embeddings: Bool. Whether rows of an embedding of 4,096 rows or
            more wait while they have no gradient: then they stay where they
            are, without weight decay, and their averages lose at their next
            gradient what they would have lost before. So a step costs as much
            as the rows that a batch looks up. It takes a policy for which what
            waits only decays, `General` or `FeatureMLP`, and no `state_dtype`
            or `warmup_steps`. If not, averages move rows after their last
            gradient. Defaults to `None`, which is `True` on a processor.
        torch_compile: Bool. Whether the policy's step is compiled by
            `torch.compile` on the backend `torch`, where it then takes half to
            three quarters of the time. The first step takes ten seconds or
            more, and a C++ compiler on a processor. The policy must be made of
            operations on tensors alone, without `warmup_steps`. Other backends
            compile in any case, with whatever trains. Defaults to `False`.
        weight_decay: Float. Decoupled weight decay, as in
            `keras.optimizers.AdamW`: each step reduces a weight by the share
            `learning_rate * weight_decay_rate * weight_decay`. So a value
            that is known to work with AdamW, such as 0.004, decays weights as
            much here as there, and a schedule of `learning_rate` scales the
            decay, too. Defaults to `None`, no decay.
        **kwargs: `weight_decay` above, and `clipnorm`, `clipvalue`,
            `global_clipnorm`, `use_ema`, `ema_momentum`,
            `ema_overwrite_frequency`, `loss_scale_factor` and
            `gradient_accumulation_steps`, as in every
            `keras.optimizers.Optimizer`.

    With `use_ema=True, ema_momentum=0.99` and Keras's own callback
    `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)`, averages of the last
    hundred or so steps' weights are evaluated and saved, and are the model's
    after the last epoch of `fit`. They are good at any time, so how long the
    training will be need not be known.

    Raises:
        ValueError: An argument is out of its range, or is for a policy that
            reads the horizon, and this one does not.

    Attributes:
        skipped_steps: int32 scalar variable, the number of steps that
            `skip_nonfinite` has skipped; `None` before the optimizer is built.

    Example:

    >>> optimizer = keras_l2o.LearnedOptimizer(keras_l2o.policies.RNNProp())
    >>> model.compile(optimizer=optimizer, loss="mse")
    >>> history = model.fit(x, y, verbose=0)
    >>> int(optimizer.iterations), int(optimizer.skipped_steps)
    (1, 0)

    Reference:
        - [Loshchilov and Hutter, 2019](https://arxiv.org/abs/1711.05101), for
          the weight decay
    """

    def __init__(
        self,
        policy: Policy | keras.optimizers.Optimizer,
        learning_rate: (
            float
            | keras.optimizers.schedules.LearningRateSchedule
            | Callable[[], Tensor]
        ) = 1.0,
        warmup_steps: int = 0,
        warmup_rate: float = 0.05,
        name: str = "learned_optimizer",
        source: str | None = None,
        state_dtype: str | None = None,
        skip_nonfinite: bool = True,
        weight_decay_rate: float = 1e-3,
        total_steps: int | None = None,
        epoch_steps: int | None = None,
        lazy_embeddings: bool | None = None,
        torch_compile: bool = False,
        **kwargs: Any,
    ) -> None:
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
        # A function, because Keras would track an object with lists in it.
        self._policy_state: Callable[[], Any] = lambda: None
        self.source = source
        self.state_dtype = state_dtype
        self.warmup_steps = check_count("warmup_steps", warmup_steps)
        self.warmup_rate = check_number("warmup_rate", warmup_rate, least=0.0)
        self.skip_nonfinite = check_flag("skip_nonfinite", skip_nonfinite)
        self.weight_decay_rate = check_number(
            "weight_decay_rate", weight_decay_rate, least=0.0
        )
        self.lazy_embeddings = lazy_embeddings
        if lazy_embeddings is not None:
            check_flag("lazy_embeddings", lazy_embeddings)
        self.torch_compile = check_flag("torch_compile", torch_compile)
        if torch_compile and warmup_steps:
            raise ValueError(
                "Argument `torch_compile` is for an optimizer without "
                f"`warmup_steps`. Received: warmup_steps={warmup_steps}"
            )
        self.skipped_steps = None
        self.policy = as_policy(policy)
        if not self.policy.built:
            self.policy.build(None)
        self.total_steps = self._checked("total_steps", total_steps)
        self.epoch_steps = self._checked("epoch_steps", epoch_steps)
        self._horizon = Horizon(0, total_steps or 0, epoch_steps or 0)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the optimizer's variables; Keras calls it at the first step.

        Args:
            variables: List of the variables that will be trained.
        """
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

    def set_horizon(
        self,
        total_steps: int | None,
        first: int | None = None,
        epoch_steps: int | None = None,
    ) -> None:
        """Tells the policy which of its steps are the training.

        Not while an epoch of `fit` is running on JAX, where the state is then
        out of reach.

        Args:
            total_steps: Int. How many update steps the training has. `None`
                if it is unknown.
            first: Int. How many steps it made before the training; below zero
                if that goes on without its state. Defaults to `None`, all.
            epoch_steps: Int. After how many update steps the same examples
                come again. Defaults to `None`, unknown or never.

        Raises:
            ValueError: The policy does not read it, or a number is out of
                range.
        """
        total = self._checked("total_steps", total_steps) or 0
        epoch = self._checked("epoch_steps", epoch_steps) or 0
        if first is None:
            first = int(self.policy_state.step) if self._policy_state() else 0
        first = check_count("first", first, least=-MOST)
        self._horizon = Horizon(first, total, epoch)
        if self._policy_state():
            self._policy_state().tell()

    @property
    def horizon(self) -> Horizon:
        """What `total_steps` or `set_horizon` said last, as ints."""
        return self._horizon

    def _checked(self, name, steps):
        if steps is None:
            return None
        if not self.policy.reads_horizon:
            total = steps if name == "total_steps" else "total_steps"
            raise ValueError(
                f"Argument `{name}` is for a policy that reads it, and "
                f"{type(self.policy).__name__} does not. Pass "
                "`keras_l2o.callbacks.Horizon()` to `fit`, or "
                "`learning_rate=keras.optimizers.schedules.CosineDecay(1.0, "
                f"{total})` here. Received: {name}={steps!r}"
            )
        return check_count(name, steps, least=1)

    @property
    def policy_state(self) -> PolicyState:
        """The policy's `PolicyState` after the last step, as tensors.

        A tensor that belongs to a trained variable has the variable's shape,
        with axes for the policy's features before it, if it has several.
        """
        return self._policy_state().read()

    def update_all(
        self,
        gradients: list[Tensor],
        variables: list[keras.Variable],
        learning_rate: Tensor,
    ) -> None:
        indices = [self.index_of(variable) for variable in variables]
        # The decay is a part of the step, and skipped with it.
        decays = [
            self.weight_decay * self.weight_decay_rate
            if self.weight_decay and self.is_decayed(variable)
            else None
            for variable in variables
        ]
        step = functools.partial(
            policy_step.make, self, self._policy_state(), indices, decays
        )
        backend.update_variables(
            step,
            gradients,
            variables,
            learning_rate,
            keras_internals.distribution_strategy(self),
        )

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        saved_state.save(self, self._policy_state(), store)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        saved_state.load(self, self._policy_state(), store)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "policy": keras.saving.serialize_keras_object(self.policy),
            "policy_weights": [
                encode(weight) for weight in self.policy.get_weights()
            ],
            "warmup_steps": self.warmup_steps,
            "warmup_rate": self.warmup_rate,
            "source": self.source,
            "state_dtype": self.state_dtype,
            "skip_nonfinite": self.skip_nonfinite,
            "weight_decay_rate": self.weight_decay_rate,
            "total_steps": self.total_steps,
            "epoch_steps": self.epoch_steps,
            "lazy_embeddings": self.lazy_embeddings,
            "torch_compile": self.torch_compile,
        }

    @classmethod
    def from_config(
        cls,
        config: Config,
        custom_objects: Mapping[str, Any] | None = None,
    ) -> "LearnedOptimizer":
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
            policy.set_weights([decode(weight) for weight in weights])
        config["policy"] = policy
        return super().from_config(config, custom_objects)


def reads_horizon(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether it is a `LearnedOptimizer` whose policy reads the horizon.

    Args:
        optimizer: A `keras.optimizers.Optimizer`.

    Returns:
        Bool.

    Example:

    >>> from keras_l2o import learned_optimizer
    >>> learned_optimizer.reads_horizon(keras.optimizers.Adam())
    False
    """
    return (
        isinstance(optimizer, LearnedOptimizer)
        and optimizer.policy.reads_horizon
    )


def without_loss_scale(
    optimizer: keras.optimizers.Optimizer,
) -> keras.optimizers.Optimizer:
    """The optimizer that a `keras.optimizers.LossScaleOptimizer` is around.

    Args:
        optimizer: A `keras.optimizers.Optimizer`.

    Returns:
        The inner one, at any depth; any other optimizer itself.

    Example:

    >>> from keras_l2o import learned_optimizer
    >>> adam = keras.optimizers.Adam()
    >>> scaled = keras.optimizers.LossScaleOptimizer(adam)
    >>> learned_optimizer.without_loss_scale(scaled) is adam
    True
    """
    while isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return optimizer
