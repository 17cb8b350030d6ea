"""What is taken from inside TensorFlow, for want of a public way to it."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_l2o.private_names import missing
from keras_l2o.private_names import take

_interim = tf
for _name in ("__internal__", "distribute", "interim"):
    _interim = take("tensorflow", _interim, _name)
_maybe_merge_call = take("tensorflow", _interim, "maybe_merge_call")


def on_all_replicas(
    function: Callable, strategy: tf.distribute.Strategy, *args: Any
) -> None:
    """Calls `function(strategy, *args)` once for all replicas of a strategy.

    The public `merge_call` would do so for every strategy; this leaves it out
    for those that do without, under which it fails within `tf.cond`.

    Args:
        function: The function, of values as `merge_call` hands them over.
        strategy: The strategy that this replica runs under.
        *args: Nests of what each replica has of its own.
    """
    _maybe_merge_call(function, strategy, *args)


def on_this_replica(value: Any) -> tf.Variable:
    """The `tf.Variable` that this replica has of a value.

    Args:
        value: A `tf.Variable`, mirrored over replicas or not. A mirrored one
            lacks `sparse_read` and the like.
    """
    if not isinstance(value, tf.distribute.DistributedValues):
        return value
    local = take("tensorflow", value, "_get")()
    if not isinstance(local, tf.Variable):
        raise missing("tensorflow", "DistributedValues._get, of a tf.Variable")
    return local
