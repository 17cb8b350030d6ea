"""JAX's forms of the operations in `keras_l2o.backend`.

The docstrings are TensorFlow's (`keras_l2o/backend/tensorflow.py`).
"""

import contextlib

import jax
import jax.ad_checkpoint
import jax.numpy as jnp
import keras

from keras_l2o.backend.products import with_products
from keras_l2o.backend.stateless import stateless


def read(variable):
    if isinstance(variable, keras.Variable):
        return variable.value
    return variable


def value_and_grad(function):
    return jax.value_and_grad(function, has_aux=True)


def per_example_gradients(function):
    return jax.vmap(jax.value_and_grad(function), in_axes=(None, 0))


def unrolled(function):
    return with_products(function) if _on_processor() else function


def _on_processor():
    return jax.default_backend() == "cpu"


REMATERIALIZES = True
_KEPT = "keras_l2o_kept"


def scan(body, carry, inputs, length, rematerialize=False):
    if rematerialize:
        policy = jax.checkpoint_policies.save_only_these_names(_KEPT)
        body = jax.checkpoint(body, prevent_cse=False, policy=policy)
    return jax.lax.scan(body, carry, inputs, length=length)


def kept(tensor):
    return jax.ad_checkpoint.checkpoint_name(tensor, _KEPT)


def map_tasks(function, inputs, shared, tasks):
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


MAPS_TRAINING = True


def mapped(function):
    return jax.jit(jax.vmap(function, in_axes=(0, 0, None)))


def devices(model):
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh = distribution.device_mesh
    return mesh.shape[mesh.axis_names.index(distribution.batch_dim_name)]


def device_scope(model):
    return contextlib.nullcontext()


def local_tasks(tasks):
    return tasks


def share_tasks(nest, tasks):
    # One program over all devices: the compiler cuts it along the first axis.
    distribution = keras.distribution.distribution()
    if distribution is None:
        return nest
    sharding = jax.sharding.NamedSharding(
        distribution.device_mesh.backend_mesh,
        jax.sharding.PartitionSpec(distribution.batch_dim_name),
    )
    return jax.tree.map(
        lambda leaf: jax.lax.with_sharding_constraint(leaf, sharding), nest
    )


def gather_tasks(nest):
    return nest


def sum_devices(tensors):
    return tensors


def apply_gradients(optimizer, gradients, variables):
    optimizer.apply(gradients, variables)


def update_variables(optimizer, step, gradients, variables, learning_rate):
    step(gradients, variables, learning_rate)


def state_scope(optimizer, reference):
    return contextlib.nullcontext()


def sum_of_squares(tensors):
    return sum(jnp.sum(jnp.square(jnp.float32(tensor))) for tensor in tensors)


def known(condition):
    return None if isinstance(condition, jax.core.Tracer) else bool(condition)


def compiled(function):
    return jax.jit(function)


def walk(optimizer, body, variables, inputs, length):
    values = [variable.value for variable in variables]
    dtypes = [value.dtype for value in values]
    if length == 1:
        new, output = body(
            [v.reshape(v.shape[1:]) for v in values],
            [x.reshape(x.shape[1:]) for x in inputs],
            jnp.int32(0),
        )
        values, outputs = [v[None] for v in new], output[None]
    elif not any(isinstance(x, jax.core.Tracer) for x in [*values, *inputs]):
        # A loop outside of what is compiled would be compiled in every call.
        rows = [
            body([v[i] for v in values], [x[i] for x in inputs], jnp.int32(i))
            for i in range(length)
        ]
        values, outputs = jax.tree.map(lambda *row: jnp.stack(row), *rows)
    else:
        put = jax.lax.dynamic_update_index_in_dim

        def take(arrays, index):
            return [
                jax.lax.dynamic_index_in_dim(array, index, keepdims=False)
                for array in arrays
            ]

        def read(rows):
            return list(map(_from_bits, rows, dtypes))

        def loop(index, carry):
            # A row is read one step ahead: fused with what replaces it, the
            # read would make the compiler copy the whole in every step.
            values, outputs, old = carry
            new, output = body(read(old), take(inputs, index), index)
            values = [
                put(v, _as_bits(row), index, 0) for v, row in zip(values, new)
            ]
            ahead = take(values, jnp.minimum(index + 1, length - 1))
            return values, put(outputs, output, index, 0), ahead

        # On a processor the compiler has no updates of 16 bits of a float: it
        # would make the whole array one of 32 bits and back, for each row.
        values = list(map(_as_bits, values))
        outputs = jnp.zeros(inputs[0].shape, optimizer.policy.variable_dtype)
        values, outputs, _ = jax.lax.fori_loop(
            0, length, loop, (values, outputs, take(values, 0))
        )
        values = read(values)
    for variable, value in zip(variables, values):
        optimizer.assign(variable, value)
    return outputs


def _as_bits(array):
    if array.dtype.itemsize != 2 or not _on_processor():
        return array
    return jax.lax.bitcast_convert_type(array, jnp.uint16)


def _from_bits(array, dtype):
    if array.dtype == dtype:
        return array
    return jax.lax.bitcast_convert_type(array, dtype)


def stateless_apply(optimizer):
    return optimizer.stateless_apply


def functional_optimizer(optimizer):
    return type(optimizer).from_config(optimizer.get_config())


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


def map_replicates(function, own, shared, count):
    values = jax.tree.leaves(own)
    if _outgrows_cache(values):
        return jax.lax.map(lambda row: function(row, shared), own)
    return jax.vmap(function, in_axes=(0, None))(own, shared)


def _outgrows_cache(values):
    """Whether a processor had better make the replicates one by one.

    Side by side, what small students do is larger and fills the cores; what
    recurrent ones remember would leave the cache at each inner step.
    """
    size = sum(value.size * value.dtype.itemsize for value in values)
    return _on_processor() and size > 2**24


def jit_compile_training():
    return True
