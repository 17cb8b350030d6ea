"""Tiny problems whose weights are not of the sizes that are usual."""

from collections.abc import Callable

import keras
from keras import layers
from keras import ops

from keras_l2o.problems.drawn import Drawn
from keras_l2o.problems.drawn import RandomTeacher
from keras_l2o.problems.functions import value_loss
from keras_l2o.problems.noisy import images_then
from keras_l2o.problems.noisy import noisy_digits
from keras_l2o.problems.problem import Problem


def _uniform(scale):
    """Glorot's initializer, with weights of so many times the size."""
    return keras.initializers.VarianceScaling(
        scale**2, "fan_avg", distribution="uniform"
    )


def _multiplied(name, factor, activation, labels):
    """A perceptron whose weights are multiplied, and so much smaller."""

    def layer(units):
        return (
            layers.Dense(units, kernel_initializer=_uniform(1 / factor)),
            layers.Rescaling(factor),
        )

    return noisy_digits(
        name,
        lambda: images_then(
            layers.Flatten(),
            *layer(40), layers.Activation(activation),
            *layer(40), layers.Activation(activation),
            *layer(10),
        ),
        32,
        labels=labels,
    )  # fmt: skip


def _small_weights() -> Problem:
    """A perceptron whose small weights are multiplied by 12."""
    return _multiplied("tiny_small_weights", 12.0, "gelu", labels=0.0)


def _steep() -> Problem:
    """A function of one number with many turns, by small weights that steep
    layers read."""

    def model():
        x, noise = inputs = keras.Input((1,)), keras.Input((1,))
        hidden = layers.Dense(64, kernel_initializer=_uniform(1.0))(x)
        hidden = ops.tanh(25.0 * hidden)
        for _ in range(2):
            hidden = layers.Dense(64, kernel_initializer=_uniform(0.08))(hidden)
            hidden = ops.tanh(25.0 * hidden)
        turns = ops.concatenate(
            [ops.cos(k * x + k) for k in range(1, 9)], axis=-1
        )
        target = 4.0 * RandomTeacher()(turns) + 0.05 * noise
        guess = layers.Dense(1, kernel_initializer=_uniform(0.3))(hidden)
        return keras.Model(inputs, ops.square(guess - target))

    data = Drawn(64, normal=((1,), (1,)))
    return Problem(model, data, value_loss, 64, "tiny_steep")


def _large_weights() -> Problem:
    """A perceptron with large weights, which small numbers multiply."""
    return _multiplied("tiny_large_weights", 1 / 8, "silu", labels=0.1)


def _saturated() -> Problem:
    """A perceptron whose first weights are three times too large."""
    return noisy_digits(
        "tiny_saturated",
        lambda: images_then(
            layers.Flatten(),
            *(
                layers.Dense(40, "tanh", kernel_initializer=_uniform(3.0))
                for _ in range(2)
            ),
            layers.Dense(10, kernel_initializer=_uniform(3.0)),
        ),
        64,
    )


def _zero_weights() -> Problem:
    """Residual blocks and a readout that start at zero."""

    def model():
        inputs = keras.Input((8, 8, 1))
        x = layers.Dense(32)(layers.Flatten()(inputs))
        for _ in range(3):
            y = layers.Dense(48, "relu")(x)
            x = x + layers.Dense(32, kernel_initializer="zeros")(y)
        outputs = layers.Dense(10, kernel_initializer="zeros")(x)
        return keras.Model(inputs, outputs)

    return noisy_digits("tiny_zero_weights", model, 32)


#: What makes each problem, by its name.
MAKERS: dict[str, Callable[[], Problem]] = {
    f"tiny{make.__name__}": make
    for make in (
        _small_weights,
        _steep,
        _large_weights,
        _saturated,
        _zero_weights,
    )
}
