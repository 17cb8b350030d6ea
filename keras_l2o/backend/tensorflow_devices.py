"""How the devices of TensorFlow share work, by `tf.distribute`."""

from contextlib import AbstractContextManager
from contextlib import nullcontext

import keras
import tensorflow as tf

from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


def on_processor() -> bool:
    """Whether TensorFlow has processors alone, no accelerator."""
    kinds = {device.device_type for device in tf.config.list_logical_devices()}
    return kinds <= {"CPU"}


def devices(model: keras.Model) -> int:
    """Number of devices that share the tasks of a model's outer step.

    The replicas of the strategy that the model was made under.
    """
    return model.distribute_strategy.num_replicas_in_sync


def device_scope(model: keras.Model) -> AbstractContextManager:
    """Context in which variables are made that each device needs.

    That of the strategy that the model was made under.
    """
    return model.distribute_strategy.scope()


def own_scope() -> AbstractContextManager:
    """Context in which variables are of this process alone: any."""
    return nullcontext()


def own_tasks(tasks: int) -> range:
    """Which of all tasks this process draws: all.

    A strategy hands each replica its part of what all processes draw.
    """
    return range(tasks)


def local_tasks(tasks: int) -> int:
    """How many of all tasks this call of the step runs: its replica's."""
    return tasks // tf.distribute.get_strategy().num_replicas_in_sync


def share_tasks(nest: Nest, tasks: int) -> Nest:
    """The part of a nest, stacked over all tasks, that this call runs.

    Every replica holds the trajectories of all tasks and runs its own slice:
    what is stored does not depend on the number of devices.
    """
    local = local_tasks(tasks)
    if local == tasks:
        return nest
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    first = replica * local
    return keras.tree.map_structure(
        lambda leaf: leaf[first : first + local], nest
    )


def gather_tasks(nest: Nest) -> Nest:
    """Stacks over all tasks what each call has of its own.

    What the replicas have, in the order of their numbers.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return nest
    leaves = tf.distribute.get_replica_context().all_gather(
        keras.tree.flatten(nest), axis=0
    )
    return keras.tree.pack_sequence_as(nest, leaves)


def sum_devices(tensors: list[Tensor]) -> list[Tensor]:
    """Sums each tensor of a list over the replicas."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return tensors
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def rows_of_processes(logs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Logs as Keras takes the mean of them over a strategy's replicas.

    Over those of several processes, that is along a first axis.
    """
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return logs
    cluster = strategy.cluster_resolver.cluster_spec()
    if sum(map(cluster.num_tasks, cluster.jobs)) < 2:
        return logs
    return {name: value[None] for name, value in logs.items()}
