import importlib

import keras
import pytest

from keras_l2o import keras_internals
from keras_l2o.keras_internals import layers

pytestmark = pytest.mark.backend


def test_flatten_layers_finds_a_layer_and_all_within_it():
    inner = keras.Sequential([keras.layers.Dense(1), keras.layers.ReLU()])
    outer = keras.Sequential([inner, keras.layers.Flatten()])
    found = keras_internals.all_layers(outer)
    expected = [outer, *outer.layers, *inner.layers]
    assert {id(x) for x in expected} <= {id(x) for x in found}
    assert len(found) == len({id(x) for x in found})


def test_a_keras_without_flatten_layers_is_named_at_import(monkeypatch):
    monkeypatch.delattr(keras.Layer, "_flatten_layers")
    with pytest.raises(ImportError, match=r"Layer\._flatten_layers`"):
        importlib.reload(layers)
