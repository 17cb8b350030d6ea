"""Inside Keras's layers."""

import keras

from keras_l2o.private_names import take

take("keras", keras.Layer, "_flatten_layers")


def all_layers(layer: keras.Layer) -> list[keras.Layer]:
    """A layer and all layers within it, however deep."""
    return layer._flatten_layers()
