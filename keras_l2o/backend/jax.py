"""JAX's forms of the operations in `keras_l2o.backend`.

Derivatives and loops are here; what devices share is in `jax_devices.py`,
what one step of an optimizer needs in `jax_update.py`, convolutions as
products in `products.py`, and names that JAX does not promise to keep in
`jax_internals.py`.
"""

import contextlib
import functools
from collections.abc import Callable

import jax
import jax.ad_checkpoint
import jax.numpy as jnp

from keras_l2o.backend.jax_devices import device_scope as device_scope
from keras_l2o.backend.jax_devices import devices as devices
from keras_l2o.backend.jax_devices import gather_tasks as gather_tasks
from keras_l2o.backend.jax_devices import local_tasks as local_tasks
from keras_l2o.backend.jax_devices import on_processor as on_processor
from keras_l2o.backend.jax_devices import own_scope as own_scope
from keras_l2o.backend.jax_devices import own_tasks as own_tasks
from keras_l2o.backend.jax_devices import share_tasks as share_tasks
from keras_l2o.backend.jax_devices import sum_devices as sum_devices
from keras_l2o.backend.jax_update import compiled as compiled
from keras_l2o.backend.jax_update import (
    functional_optimizer as functional_optimizer,
)
from keras_l2o.backend.jax_update import fuses as fuses
from keras_l2o.backend.jax_update import known as known
from keras_l2o.backend.jax_update import look_at_rows as look_at_rows
from keras_l2o.backend.jax_update import materialized as materialized
from keras_l2o.backend.jax_update import over_rows as over_rows
from keras_l2o.backend.jax_update import put as put
from keras_l2o.backend.jax_update import read as read
from keras_l2o.backend.jax_update import (
    rows_with_gradient as rows_with_gradient,
)
from keras_l2o.backend.jax_update import state_scope as state_scope
from keras_l2o.backend.jax_update import stateless_apply as stateless_apply
from keras_l2o.backend.jax_update import sum_of_squares as sum_of_squares
from keras_l2o.backend.jax_update import traced as traced
from keras_l2o.backend.jax_update import update_variables as update_variables
from keras_l2o.backend.jax_update import walk as walk
from keras_l2o.backend.products import with_products
from keras_l2o.backend.stateless import stateless
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


def value_and_grad(function: Callable) -> Callable:
    """Makes `(variables, *args) -> ((value, auxiliary), gradients)`.

    By `jax.value_and_grad`.

    Args:
        function: `(variables, *args) -> (value, auxiliary)`, where
            `variables` is a list of tensors and `value` a scalar.

    Returns:
        A function whose gradients are a list, zeros where there is none.
    """
    return jax.value_and_grad(function, has_aux=True)


def per_example_gradients(function: Callable) -> Callable:
    """Makes `(variables, examples) -> (values, gradients)`.

    By `jax.vmap`, over the examples.

    Args:
        function: `(variables, example) -> value`, a scalar. Examples are a
            nest of tensors with one first axis, which an example lacks; the
            values and the gradients by each variable have it.
    """
    return jax.vmap(jax.value_and_grad(function), in_axes=(None, 0))


def no_gradient() -> contextlib.AbstractContextManager:
    """Context for what no gradient is taken of.

    Nothing here, where the compiler finds out by itself.
    """
    return contextlib.nullcontext()


def memory_scope() -> contextlib.AbstractContextManager:
    """Context of a meta-training, in which the allocator is as it was."""
    return contextlib.nullcontext()


def unrolled(function: Callable) -> Callable:
    """The form of an optimizee's loss that is the fastest to unroll.

    On a processor with products in place of convolutions: there it is
    differentiated twice and mapped over tasks, each with parameters of its
    own, and the compiler's convolutions are slow at that.

    Args:
        function: Any function of nests of tensors.
    """
    return with_products(function) if on_processor() else function


#: Whether computing a step's values again in `scan` is worth its time.
REMATERIALIZES = True
#: Whether a part of a step can be a program and the rest run as it is.
COMPILES_PARTS = True
_KEPT = "keras_l2o_kept"


def scan(
    body: Callable,
    carry: Nest,
    inputs: Nest,
    length: int,
    rematerialize: bool = False,
    outputs: Nest | None = None,
) -> tuple[Nest, Nest]:
    """Runs `carry, output = body(carry, input)` over the first axis.

    By `jax.lax.scan`.

    Args:
        body: The function of one step. Its carry keeps structure, shapes and
            dtypes.
        carry: Nest of tensors.
        inputs: Nest of tensors with a first axis of `length`.
        length: The number of steps.
        rematerialize: Whether the values within a step, but for those that
            `kept` names, are not kept for the gradient, but computed again.
            Defaults to `False`.
        outputs: Nest of tensors like an output, which TensorFlow asks for; not
            looked at here. Defaults to `None`.

    Returns:
        The last carry, and the outputs stacked along a new first axis.
    """
    if rematerialize:
        policy = jax.checkpoint_policies.save_only_these_names(_KEPT)
        body = jax.checkpoint(body, prevent_cse=False, policy=policy)
    return jax.lax.scan(body, carry, inputs, length=length)


def only_if(
    condition: Tensor, function: Callable[[], Nest], otherwise: Nest
) -> Nest:
    """What a function returns, or something else where a condition is false.

    By `jax.lax.cond`: the function then does not run, unless tasks are mapped
    over that each have a condition of their own.

    Args:
        condition: Boolean scalar.
        function: Returns a nest of tensors.
        otherwise: Nest of tensors of the same structure, shapes and types.
    """
    return jax.lax.cond(condition, function, lambda: otherwise)


def kept(tensor: Tensor) -> Tensor:
    """A tensor that `scan` keeps for the gradient even if it rematerializes.

    What it was computed from is then not computed again for its sake.
    """
    return jax.ad_checkpoint.checkpoint_name(tensor, _KEPT)


def map_tasks(
    function: Callable, inputs: Nest, shared: Nest, tasks: int
) -> Nest:
    """Applies `function` to each task and stacks the results.

    All tasks side by side, by `jax.vmap`.

    Args:
        function: Maps two nests of tensors to a nest of tensors.
        inputs: Nest of tensors with a first axis of `tasks`: the first
            argument, but for that axis.
        shared: Nest of tensors: the second argument, the same for all.
        tasks: The number of tasks.
    """
    if tasks == 1:
        # A batch of one still turns every matrix product into a batched one.
        result = function(jax.tree.map(lambda leaf: leaf[0], inputs), shared)
        return jax.tree.map(lambda leaf: leaf[None], result)
    # A product of one matrix and many would take its operands in an order of
    # axes that costs several times the product; many and many do not.
    shared = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (tasks, *jnp.shape(leaf))), shared
    )
    return jax.vmap(function)(inputs, shared)


#: Whether whole trainings can be mapped over, by `mapped`.
MAPS_TRAINING = True


def mapped(function: Callable) -> Callable:
    """Compiles a function, over the first axis of all but its last argument.

    Args:
        function: Maps three nests of tensors to one.
    """
    return jax.jit(jax.vmap(function, in_axes=(0, 0, None)))


class StatefulStep:
    """Turns steps that assign variables into JAX's functions of the state."""

    def train_step(self, state, data):
        groups = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )
        return stateless(self.outer_step, groups, state, data)

    def test_step(self, state, data):
        groups = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.metrics_variables,
        )
        return stateless(self.validation_step, groups, state, data)

    def make_train_function(self, force=False):
        with _new_function(self, "train_step"):
            return super().make_train_function(force)

    def make_test_function(self, force=False):
        with _new_function(self, "test_step"):
            return super().make_test_function(force)


@contextlib.contextmanager
def _new_function(model, name):
    """Makes a method of a model one that JAX has not seen before.

    It would take the method for what it has traced before, though what the
    method reads from the model has changed.
    """
    method = getattr(type(model), name)
    setattr(model, name, functools.partial(method, model))
    try:
        yield
    finally:
        delattr(model, name)


def map_replicates(
    function: Callable, own: Nest, shared: Nest, count: int
) -> Nest:
    """Applies a function to each replicate, in one program.

    Side by side, but for those whose values are more than a processor caches.

    Args:
        function: Maps two nests of tensors to a nest of tensors.
        own: Nest of tensors with a first axis of `count`: the first argument,
            but for that axis.
        shared: Nest of tensors: the second argument, the same for all.
        count: The number of replicates.

    Returns:
        The results, stacked along a new first axis.
    """
    if _outgrows_cache(jax.tree.leaves(own)):
        return jax.lax.map(lambda row: function(row, shared), own)
    return jax.vmap(function, in_axes=(0, None))(own, shared)


def _outgrows_cache(values):
    """Whether a processor had better make the replicates one by one.

    Side by side, what small students do is larger and fills the cores; what
    recurrent ones remember would leave the cache at each inner step.
    """
    size = sum(value.size * value.dtype.itemsize for value in values)
    return on_processor() and size > 2**24


def jit_compile_training() -> bool:
    """Whether XLA pays for meta-training: JAX compiles everything with it."""
    return True


def own_program(function: Callable[..., Nest]) -> Callable[..., Nest]:
    """The function itself: nothing is compiled in parts here.

    Args:
        function: Maps nests of tensors to a nest of tensors.
    """
    return function
