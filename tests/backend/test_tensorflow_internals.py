"""What the names inside TensorFlow mean: one that fails says which."""

import keras
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's own", allow_module_level=True)

import importlib

import tensorflow as tf

from keras_l2o.backend import tensorflow_internals


def mirrored():
    return tf.distribute.MirroredStrategy(["CPU:0"])


@pytest.mark.parametrize("make", [tf.distribute.get_strategy, mirrored])
def test_maybe_merge_call_hands_over_the_strategy_and_the_values(make):
    strategy, calls = make(), []

    def replica(value):
        tensorflow_internals.on_all_replicas(
            lambda *args: calls.append(args), strategy, [value], 2.0
        )

    strategy.run(replica, args=(tf.constant(3.0),))
    ((given, values, number),) = calls
    assert given is strategy or given.extended is strategy.extended
    assert [float(value) for value in values] == [3.0]
    assert number == 2.0


def test_get_is_the_variable_of_this_replica():
    strategy = mirrored()
    with strategy.scope():
        variable = tf.Variable([1.0, 2.0])
    assert isinstance(variable, tf.distribute.DistributedValues)
    found = []

    def replica():
        local = tensorflow_internals.on_this_replica(variable)
        found.append(local)
        return local.sparse_read(tf.constant(1))

    assert float(strategy.run(replica)) == 2.0
    assert not isinstance(found[0], tf.distribute.DistributedValues)


def test_a_plain_variable_is_its_own_on_this_replica():
    variable = tf.Variable(1.0)
    assert tensorflow_internals.on_this_replica(variable) is variable


def test_a_value_of_no_variable_is_named(monkeypatch):
    strategy = mirrored()
    with strategy.scope():
        variable = tf.Variable(1.0)
    monkeypatch.setattr(type(variable), "_get", lambda self: None)
    with pytest.raises(ImportError, match=r"tensorflow .*_get, of a"):
        tensorflow_internals.on_this_replica(variable)


def test_a_tensorflow_without_the_call_is_named_at_import(monkeypatch):
    interim = tf.__internal__.distribute.interim
    monkeypatch.delattr(interim, "maybe_merge_call")
    with pytest.raises(ImportError, match=r"tensorflow .*maybe_merge_call`"):
        importlib.reload(tensorflow_internals)
