"""TensorFlow's forms of the operations in `keras_l2o.backend`.

Derivatives are here; the loop over steps is in `tensorflow_scan.py`, what
devices share in `tensorflow_devices.py`, the allocator in
`tensorflow_memory.py`, what one step of an optimizer needs in
`tensorflow_update.py`, and names that TensorFlow does not promise to keep in
`tensorflow_internals.py`.
"""

import contextlib
from collections.abc import Callable
from typing import NoReturn

import keras
import tensorflow as tf

from keras_l2o import keras_internals
from keras_l2o.backend.tensorflow_devices import device_scope as device_scope
from keras_l2o.backend.tensorflow_devices import devices as devices
from keras_l2o.backend.tensorflow_devices import gather_tasks as gather_tasks
from keras_l2o.backend.tensorflow_devices import local_tasks as local_tasks
from keras_l2o.backend.tensorflow_devices import on_processor as on_processor
from keras_l2o.backend.tensorflow_devices import own_scope as own_scope
from keras_l2o.backend.tensorflow_devices import own_tasks as own_tasks
from keras_l2o.backend.tensorflow_devices import rows_of_processes
from keras_l2o.backend.tensorflow_devices import share_tasks as share_tasks
from keras_l2o.backend.tensorflow_devices import sum_devices as sum_devices
from keras_l2o.backend.tensorflow_memory import memory_scope as memory_scope
from keras_l2o.backend.tensorflow_program import own_program as own_program
from keras_l2o.backend.tensorflow_scan import in_turn
from keras_l2o.backend.tensorflow_scan import kept as kept
from keras_l2o.backend.tensorflow_scan import scan as scan
from keras_l2o.backend.tensorflow_update import compiled as compiled
from keras_l2o.backend.tensorflow_update import (
    functional_optimizer as functional_optimizer,
)
from keras_l2o.backend.tensorflow_update import fuses as fuses
from keras_l2o.backend.tensorflow_update import known as known
from keras_l2o.backend.tensorflow_update import look_at_rows as look_at_rows
from keras_l2o.backend.tensorflow_update import materialized as materialized
from keras_l2o.backend.tensorflow_update import over_rows as over_rows
from keras_l2o.backend.tensorflow_update import put as put
from keras_l2o.backend.tensorflow_update import read as read
from keras_l2o.backend.tensorflow_update import (
    rows_with_gradient as rows_with_gradient,
)
from keras_l2o.backend.tensorflow_update import state_scope as state_scope
from keras_l2o.backend.tensorflow_update import (
    stateless_apply as stateless_apply,
)
from keras_l2o.backend.tensorflow_update import sum_of_squares as sum_of_squares
from keras_l2o.backend.tensorflow_update import traced as traced
from keras_l2o.backend.tensorflow_update import (
    update_variables as update_variables,
)
from keras_l2o.backend.tensorflow_update import walk as walk
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor

# `StatefulStep` overrides it.
keras_internals.check_symbolic_build()


def value_and_grad(function: Callable) -> Callable:
    """Makes `(variables, *args) -> ((value, auxiliary), gradients)`.

    By a `tf.GradientTape`, also within another one.

    Args:
        function: `(variables, *args) -> (value, auxiliary)`, where
            `variables` is a list of tensors and `value` a scalar.

    Returns:
        A function whose gradients are a list, zeros where there is none.
    """

    def differentiated(variables, *args):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            value, auxiliary = function(variables, *args)
        gradients = tape.gradient(
            value, variables, unconnected_gradients="zero"
        )
        return (value, auxiliary), gradients

    return differentiated


def per_example_gradients(function: Callable) -> Callable:
    """Makes `(variables, examples) -> (values, gradients)`.

    By `tf.vectorized_map`, over the examples.

    Args:
        function: `(variables, example) -> value`, a scalar. Examples are a
            nest of tensors with one first axis, which an example lacks; the
            values and the gradients by each variable have it.
    """

    def one_by_one(variables, examples):
        def one(example):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                value = function(variables, example)
            return value, tape.gradient(
                value, variables, unconnected_gradients="zero"
            )

        return tf.vectorized_map(one, examples, warn=False)

    return one_by_one


def no_gradient() -> contextlib.AbstractContextManager:
    """Context for what no gradient is taken of.

    Nothing here, where the compiler finds out by itself.
    """
    return contextlib.nullcontext()


def unrolled(function: Callable) -> Callable:
    """The form of an optimizee's loss that is the fastest to unroll.

    The function itself: TensorFlow's kernels are fast, differentiated twice,
    too.

    Args:
        function: Any function of nests of tensors.
    """
    return function


#: Whether computing a step's values again in `scan` is worth its time.
REMATERIALIZES = True
#: Whether a part of a step can be a program and the rest run as it is.
COMPILES_PARTS = False


def only_if(
    condition: Tensor, function: Callable[[], Nest], otherwise: Nest
) -> Nest:
    """What a function returns, or something else where a condition is false.

    By `tf.cond`: the function then does not run.

    Args:
        condition: Boolean scalar.
        function: Returns a nest of tensors.
        otherwise: Nest of tensors of the same structure, shapes and types.
    """
    otherwise = keras.tree.map_structure(tf.convert_to_tensor, otherwise)
    return tf.cond(condition, function, lambda: otherwise)


def map_tasks(
    function: Callable, inputs: Nest, shared: Nest, tasks: int
) -> Nest:
    """Applies `function` to each task and stacks the results.

    One task after another, in one loop.

    Args:
        function: Maps two nests of tensors to a nest of tensors.
        inputs: Nest of tensors with a first axis of `tasks`: the first
            argument, but for that axis.
        shared: Nest of tensors: the second argument, the same for all.
        tasks: The number of tasks.
    """
    if tasks == 1 or tf.executing_eagerly():
        results = [function(_row(inputs, x), shared) for x in range(tasks)]
        return keras.tree.map_structure(lambda *x: tf.stack(x), *results)
    return in_turn(lambda task: function(_row(inputs, task), shared), tasks)


def _row(nest, index):
    return keras.tree.map_structure(lambda leaf: leaf[index], nest)


def map_replicates(
    function: Callable, own: Nest, shared: Nest, count: int
) -> Nest:
    """Applies a function to each replicate and stacks the results.

    One replicate after another, in one loop.

    Args:
        function: Maps two nests of tensors to a nest of tensors.
        own: Nest of tensors with a first axis of `count`: the first argument,
            but for that axis.
        shared: Nest of tensors: the second argument, the same for all.
        count: The number of replicates.
    """
    return map_tasks(function, own, shared, count)


#: Whether whole trainings can be mapped over, by `mapped`.
MAPS_TRAINING = False


def mapped(function: Callable) -> NoReturn:
    """Not here: `MAPS_TRAINING` is false."""
    raise NotImplementedError


class StatefulStep:
    """Gives a `keras.Model` its `train_step` and `test_step`.

    The model defines `outer_step(data)` and `validation_step(data)`, which
    read and assign variables and return logs.
    """

    outer_step: Callable[[Nest], dict[str, Tensor]]
    validation_step: Callable[[Nest], dict[str, Tensor]]

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Under a strategy Keras would take a batch out of the data, of which
        # each counts here, to build a model that is built.
        pass

    def train_step(self, data: Nest) -> dict[str, Tensor]:
        """Runs one outer step; Keras calls it.

        Args:
            data: Nest of tensors, what the data set yields.

        Returns:
            Dict of scalars, the logs of the step.
        """
        return rows_of_processes(self.outer_step(data))

    def test_step(self, data: Nest) -> dict[str, Tensor]:
        """Runs one step of the validation; Keras calls it.

        Args:
            data: Nest of tensors, what the data set yields.

        Returns:
            Dict of scalars, the logs of the step.
        """
        return rows_of_processes(self.validation_step(data))


def jit_compile_training() -> bool:
    """Whether XLA pays for meta-training: on an accelerator, not on a CPU.

    Second-order convolutions under XLA on a CPU are some fifty times slower
    than TensorFlow's own kernels.
    """
    return bool(tf.config.list_physical_devices("GPU"))
