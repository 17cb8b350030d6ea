"""Learned vectors that tell places apart."""

import keras


class Places(keras.layers.Layer):
    """Adds a learned vector to each place `(batch, places, width)`."""

    def build(self, input_shape):
        self.vectors = self.add_weight(
            shape=input_shape[1:],
            initializer=keras.initializers.RandomNormal(stddev=0.05),
            name="vectors",
        )

    def call(self, inputs):
        return inputs + self.vectors
