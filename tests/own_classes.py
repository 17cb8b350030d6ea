"""Classes as a user writes them, of a package of the user's own."""

import keras
import numpy as np
from keras import ops

from keras_l2o import perturbations
from keras_l2o import policies
from keras_l2o import problems
from keras_l2o.training import Objective


@keras.saving.register_keras_serializable(package="mine")
class MyRule(policies.Policy):
    """Gradient descent at a rate that is learned; it counts its steps."""

    def __init__(self, timescale=100_000, initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.timescale = timescale
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape=None):
        self.rate = self.add_weight((), self.initializer, name="rate")
        self.built = True

    def initial_state(self, parameters):
        return policies.PolicyState(
            ops.zeros((), "int32"), ((),) * len(parameters)
        )

    def update(self, gradients, parameters, state, training=False):
        rate = 0.01 * ops.exp(self.rate)
        updates = [None if g is None else rate * g for g in gradients]
        return updates, state._replace(step=state.step + 1)

    def get_config(self):
        return {
            **super().get_config(),
            "timescale": self.timescale,
            "initializer": keras.initializers.serialize(self.initializer),
        }


@keras.saving.register_keras_serializable(package="mine", name="descent")
class MyOptimizer(keras.optimizers.SGD):
    pass


@keras.saving.register_keras_serializable(package="mine")
def my_activation(x):
    return ops.tanh(2.0 * x)


class Unregistered(MyRule):
    pass


class Shake(perturbations.Perturbation):
    """The same noise on the weights at every inner step."""

    def __init__(self, magnitude=1e-3, seed=None):
        super().__init__(magnitude, seed)

    def offsets(self, weights, unroll):
        return [
            self.magnitude
            * keras.random.normal((unroll, *w.shape), seed=self.generator)
            for w in weights
        ]


class MyObjective(Objective):
    def meta_loss(self, records):
        return 0.5 * super().meta_loss(records)


class MyProblem(problems.Problem):
    def __init__(self, name="mine"):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(32, 4)).astype("float32")
        y = rng.integers(0, 3, 32)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        super().__init__(model, (x, y), batch_size=8, name=name)


CUSTOM_OBJECTS = {"mine>MyRule": MyRule}
