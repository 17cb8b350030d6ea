"""Inside Keras's optimizers: a step over all variables, what they keep."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_l2o.private_names import take
from keras_l2o.private_names import take_module

# An override of a method that Keras no longer calls would just not be run.
for _name in (
    "_apply_weight_decay",
    "_backend_update_step",
    "_get_current_learning_rate",
    "_get_variable_index",
    "_use_weight_decay",
):
    take("keras", keras.optimizers.Optimizer, _name)


class WholeModelOptimizer(keras.optimizers.Optimizer):
    """An optimizer whose step sees all variables at once.

    Keras's own optimizers define `update_step`, of one variable. A subclass
    defines `update_all` instead, which Keras calls after clipping, unscaling
    and accumulation, with what has a gradient.
    """

    def update_all(
        self, gradients: list, variables: list, learning_rate: Any
    ) -> None:
        """Updates variables in place.

        Args:
            gradients: List of tensors, all there.
            variables: List of the variables, of the same length.
            learning_rate: Scalar tensor or variable.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `update_all`."
        )

    def index_of(self, variable: Any) -> int:
        """Position of a variable among those that the optimizer trains.

        Args:
            variable: A variable that the optimizer was built with.

        Returns:
            Int, counted from 0.
        """
        return self._get_variable_index(variable)

    def is_decayed(self, variable: Any) -> bool:
        """Whether weight decay applies to a variable.

        It does, unless `exclude_from_weight_decay` has named the variable.

        Args:
            variable: A variable that the optimizer was built with.

        Returns:
            Bool.
        """
        return self._use_weight_decay(variable)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        self.update_all(grads, trainable_variables, learning_rate)

    def _apply_weight_decay(self, variables):
        """Nothing: decay, too, is a matter of `update_all`."""


def trained_variables(optimizer: keras.optimizers.Optimizer) -> list:
    """The variables that an optimizer was built with; empty before."""
    return list(take("keras", optimizer, "_trainable_variables"))


def learning_rate_variable(
    optimizer: keras.optimizers.Optimizer,
) -> keras.Variable | None:
    """The variable that holds the learning rate; `None` under a schedule.

    The property `learning_rate` is that variable or the schedule's value of
    the moment, and does not tell which.
    """
    rate = take("keras", optimizer, "_learning_rate")
    return rate if isinstance(rate, keras.Variable) else None


def set_learning_rate(
    optimizer: keras.optimizers.Optimizer, rate: Callable[[], Any] | None
) -> None:
    """Makes a function the source of an optimizer's learning rate.

    The optimizer's variables and its config stay as they are. A function that
    is compiled already keeps the source it was compiled with.

    Args:
        optimizer: A Keras optimizer.
        rate: Function without arguments that returns a scalar tensor, or
            `None`: the optimizer's own rate again.
    """
    if rate is None:
        vars(optimizer).pop("_get_current_learning_rate", None)
    else:
        vars(optimizer)["_get_current_learning_rate"] = rate


def batches_seen(optimizer: keras.optimizers.Optimizer) -> int:
    """How many gradients an optimizer was given.

    `iterations` counts updates, fewer where gradients accumulate.
    """
    return int(ops.convert_to_numpy(take("keras", optimizer, "_iterations")))


def averages(
    optimizer: keras.optimizers.Optimizer, variables: Sequence[Any]
) -> list | None:
    """The weights to validate a model with, if they are not its own.

    `keras.optimizers.ScheduleFreeAdamW` trains a model at points between its
    momentum and the average of its path. The average is the result, as is that
    of an optimizer with `use_ema`.

    Args:
        optimizer: A built Keras optimizer.
        variables: List of the variables that it was built with.

    Returns:
        List of tensors, one for each variable; `None` if the variables have
        the values to validate.
    """
    if optimizer.use_ema:
        moving = take("keras", optimizer, "_model_variables_moving_average")
        return [keras.ops.convert_to_tensor(variable) for variable in moving]
    if not isinstance(optimizer, keras.optimizers.ScheduleFreeAdamW):
        return None
    share = optimizer.beta_1
    return [
        (variable - (1.0 - share) * momentum) / share
        for variable, momentum in zip(
            variables, take("keras", optimizer, "_momentums")
        )
    ]


def distribution_strategy(optimizer: keras.optimizers.Optimizer) -> Any:
    """The `tf.distribute.Strategy` under which an optimizer was made.

    Returns:
        The strategy, TensorFlow's default one if there was none; on other
        backends `None`.
    """
    if keras.backend.backend() != "tensorflow":
        return None
    return take("keras", optimizer, "_distribution_strategy")


#: What `keras.optimizers.Optimizer` overrides on TensorFlow.
DISTRIBUTED = (
    "_apply_weight_decay",
    "_backend_increment_gradient_accumulators",
    "_backend_update_step",
    "_clip_by_norm",
    "_overwrite_model_variables_with_average_value",
    "_var_key",
    "add_variable_from_reference",
    "assign",
    "assign_add",
    "assign_sub",
    "stateless_apply",
)


def without_distribution(
    cls: type[keras.optimizers.Optimizer],
) -> type[keras.optimizers.Optimizer]:
    """The class of an optimizer, on TensorFlow, as a function of its state.

    Keras refuses `stateless_apply` on TensorFlow because its optimizers go
    through `tf.distribute`, which wants variables. Without that layer every
    optimizer is a function again, also inside `tf.while_loop`.

    Args:
        cls: Class of a Keras optimizer.

    Returns:
        A class on which `stateless_apply` works. The optimizer's own
        overrides come first, then those of Keras's base class, then
        TensorFlow's: Nadam, say, keeps its own update.
    """
    return type(cls.__name__, (cls, _Functional), {})


_base = take(
    "keras",
    take_module("keras", "keras.src.optimizers.base_optimizer"),
    "BaseOptimizer",
)
_Functional = type(
    "_Functional",
    (keras.optimizers.Optimizer,),
    {name: take("keras", _base, name) for name in DISTRIBUTED},
)
