"""Torch's forms of the operations in `keras_l2o.backend`, all of them eager.

The loop over steps is in `torch_scan.py`, and what one step of an optimizer
needs in `torch_update.py`.
"""

import contextlib
from collections.abc import Callable
from typing import NoReturn

import keras
import torch
from keras import ops

from keras_l2o.backend.torch_program import traced as traced
from keras_l2o.backend.torch_scan import kept as kept
from keras_l2o.backend.torch_scan import row
from keras_l2o.backend.torch_scan import scan as scan
from keras_l2o.backend.torch_update import compiled as compiled
from keras_l2o.backend.torch_update import (
    functional_optimizer as functional_optimizer,
)
from keras_l2o.backend.torch_update import fuses as fuses
from keras_l2o.backend.torch_update import known as known
from keras_l2o.backend.torch_update import look_at_rows as look_at_rows
from keras_l2o.backend.torch_update import materialized as materialized
from keras_l2o.backend.torch_update import over_rows as over_rows
from keras_l2o.backend.torch_update import put as put
from keras_l2o.backend.torch_update import read as read
from keras_l2o.backend.torch_update import (
    rows_with_gradient as rows_with_gradient,
)
from keras_l2o.backend.torch_update import state_scope as state_scope
from keras_l2o.backend.torch_update import stateless_apply as stateless_apply
from keras_l2o.backend.torch_update import sum_of_squares as sum_of_squares
from keras_l2o.backend.torch_update import update_variables as update_variables
from keras_l2o.backend.torch_update import walk as walk
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


def value_and_grad(function: Callable) -> Callable:
    """Makes `(variables, *args) -> ((value, auxiliary), gradients)`.

    By `torch.autograd.grad`, also within another one.

    Args:
        function: `(variables, *args) -> (value, auxiliary)`, where
            `variables` is a list of tensors and `value` a scalar.

    Returns:
        A function whose gradients are a list, zeros where there is none.
    """

    def differentiated(variables, *args):
        # Inside another derivative the gradient is itself differentiated.
        nested = torch.is_grad_enabled()
        with torch.enable_grad():
            variables = [
                v if v.requires_grad else v.detach().requires_grad_()
                for v in variables
            ]
            value, auxiliary = function(variables, *args)
            gradients = torch.autograd.grad(
                value,
                variables,
                create_graph=nested,
                allow_unused=True,
                materialize_grads=True,
            )
        return (value, auxiliary), list(gradients)

    return differentiated


def per_example_gradients(function: Callable) -> Callable:
    """Makes `(variables, examples) -> (values, gradients)`.

    By `torch.func.vmap`, over the examples.

    Args:
        function: `(variables, example) -> value`, a scalar. Examples are a
            nest of tensors with one first axis, which an example lacks; the
            values and the gradients by each variable have it.
    """
    one = torch.func.grad_and_value(function)

    def one_by_one(variables, examples):
        gradients, values = torch.func.vmap(one, in_dims=(None, 0))(
            [variable.detach() for variable in variables], examples
        )
        return values, list(gradients)

    return one_by_one


def no_gradient() -> contextlib.AbstractContextManager:
    """Context for what no gradient is taken of: it then costs nothing more."""
    return torch.no_grad()


def memory_scope() -> contextlib.AbstractContextManager:
    """Context of a meta-training, in which the allocator is as it was."""
    return contextlib.nullcontext()


def unrolled(function: Callable) -> Callable:
    """The form of an optimizee's loss that is the fastest to unroll: itself.

    Args:
        function: Any function of nests of tensors.
    """
    return function


#: Whether computing a step's values again in `scan` is worth its time: it takes
#: twice that of a plain step here, for a fraction of the memory.
REMATERIALIZES = False
#: Whether a part of a step can be a program and the rest run as it is.
COMPILES_PARTS = False


def only_if(
    condition: Tensor, function: Callable[[], Nest], otherwise: Nest
) -> Nest:
    """What a function returns, or something else where a condition is false.

    The function then does not run.

    Args:
        condition: Boolean scalar.
        function: Returns a nest of tensors.
        otherwise: Nest of tensors of the same structure, shapes and types.
    """
    return function() if condition else otherwise


def map_tasks(
    function: Callable, inputs: Nest, shared: Nest, tasks: int
) -> Nest:
    """Applies `function` to each task and stacks the results.

    One task after another; the results are of no derivative's graph.

    Args:
        function: Maps two nests of tensors to a nest of tensors.
        inputs: Nest of tensors with a first axis of `tasks`: the first
            argument, but for that axis.
        shared: Nest of tensors: the second argument, the same for all.
        tasks: The number of tasks.
    """
    results = []
    for task in range(tasks):
        result = function(row(inputs, task), shared)
        # Nothing is differentiated across tasks: free each graph at once.
        results.append(
            keras.tree.map_structure(lambda leaf: leaf.detach(), result)
        )
    return keras.tree.map_structure(
        lambda *leaves: torch.stack(leaves), *results
    )


#: Whether whole trainings can be mapped over, by `mapped`.
MAPS_TRAINING = False


def mapped(function: Callable) -> NoReturn:
    """Not here: `MAPS_TRAINING` is false."""
    raise NotImplementedError


def on_processor() -> bool:
    """Whether Keras puts tensors on a processor, not on an accelerator."""
    return ops.empty((0,)).device.type == "cpu"


def devices(model: keras.Model) -> int:
    """Number of devices that share the tasks of a model's outer step: one."""
    return 1


def device_scope(model: keras.Model) -> contextlib.AbstractContextManager:
    """Context in which variables are made that each device needs: empty."""
    return contextlib.nullcontext()


def own_scope() -> contextlib.AbstractContextManager:
    """Context in which variables are of this process alone: any."""
    return contextlib.nullcontext()


def own_tasks(tasks: int) -> range:
    """Which of all tasks this process draws: all."""
    return range(tasks)


def local_tasks(tasks: int) -> int:
    """How many of all tasks this call of the step runs: all."""
    return tasks


def share_tasks(nest: Nest, tasks: int) -> Nest:
    """The part of a nest, stacked over all tasks, that this call runs: all."""
    return nest


def gather_tasks(nest: Nest) -> Nest:
    """Stacks over all tasks what each call has of its own: it has all."""
    return nest


def sum_devices(tensors: list[Tensor]) -> list[Tensor]:
    """Sums each tensor of a list over the devices: there is one."""
    return tensors


def map_replicates(
    function: Callable, own: Nest, shared: Nest, count: int
) -> Nest:
    """Applies a function to each replicate, one by one, and stacks the results.

    Args:
        function: Maps two nests of tensors to a nest of tensors.
        own: Nest of tensors with a first axis of `count`: the first argument,
            but for that axis.
        shared: Nest of tensors: the second argument, the same for all.
        count: The number of replicates.
    """
    return map_tasks(function, own, shared, count)


class StatefulStep:
    """Gives a `keras.Model` its `train_step` and `test_step`.

    The model defines `outer_step(data)` and `validation_step(data)`, which
    read and assign variables and return logs. They take derivatives
    themselves, so that torch has to record none for a whole step.
    """

    outer_step: Callable[[Nest], dict[str, Tensor]]
    validation_step: Callable[[Nest], dict[str, Tensor]]

    def train_step(self, data: Nest) -> dict[str, Tensor]:
        """Runs one outer step; Keras calls it.

        Args:
            data: Nest of tensors, what the data set yields.

        Returns:
            Dict of scalars, the logs of the step.
        """
        with torch.no_grad():
            return self.outer_step(data)

    def test_step(self, data: Nest) -> dict[str, Tensor]:
        """Runs one step of the validation; Keras calls it.

        Args:
            data: Nest of tensors, what the data set yields.

        Returns:
            Dict of scalars, the logs of the step.
        """
        with torch.no_grad():
            return self.validation_step(data)


def jit_compile_training() -> bool:
    """Whether a compiler pays for meta-training: it is eager on torch."""
    return False


def own_program(function: Callable[..., Nest]) -> Callable[..., Nest]:
    """The function itself: nothing is compiled in parts here.

    Args:
        function: Maps nests of tensors to a nest of tensors.
    """
    return function
