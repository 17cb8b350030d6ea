"""How the devices of JAX share work, by `keras.distribution`."""

import contextlib
from collections.abc import Iterator

import jax
import keras

from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


def on_processor() -> bool:
    """Whether JAX computes on a processor, not on an accelerator."""
    return jax.default_backend() == "cpu"


def devices(model: keras.Model) -> int:
    """Number of devices that share the tasks of a model's outer step.

    Those along the axis of `keras.distribution.distribution()` that batches
    are shared over. The model says nothing about it.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh = distribution.device_mesh
    return mesh.shape[mesh.axis_names.index(distribution.batch_dim_name)]


def device_scope(model: keras.Model) -> contextlib.AbstractContextManager:
    """Context in which variables are made that each device needs.

    An empty one: `keras.distribution` is global.
    """
    return contextlib.nullcontext()


@contextlib.contextmanager
def own_scope() -> Iterator[None]:
    """Context in which variables are of this process alone.

    Its models are not those of the other processes.
    """
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def own_tasks(tasks: int) -> range:
    """Which of all tasks this process draws.

    Those of its own devices. Keras takes what each of several processes has
    for a part of the whole.
    """
    if keras.distribution.distribution() is None:
        return range(tasks)
    share = tasks // jax.process_count()
    first = share * jax.process_index()
    return range(first, first + share)


def local_tasks(tasks: int) -> int:
    """How many of all tasks this call of the step runs: all.

    It is one program over all devices.
    """
    return tasks


def share_tasks(nest: Nest, tasks: int) -> Nest:
    """The part of a nest, stacked over all tasks, that this call runs: all.

    The compiler is told to cut it along the first axis.
    """
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


def gather_tasks(nest: Nest) -> Nest:
    """Stacks over all tasks what each call has of its own: it has all."""
    return nest


def sum_devices(tensors: list[Tensor]) -> list[Tensor]:
    """Sums each tensor of a list over the devices: one call is of all."""
    return tensors
