import keras
import numpy as np


class Perturbation(keras.callbacks.Callback):
    """Base class: disturbs the student inside the compiled outer step.

    Hand it to `MetaTrainer.fit(callbacks=[...])`; several compose, in the
    order of the list. The stored weights are never touched: the outer
    gradient is taken at the disturbed ones. `magnitude` is a variable: another
    callback, a schedule or a tuner may set it while `fit` runs, without a
    retrace. A subclass implements one of `offsets`, `attack` and
    `gradient_noise`.

    Args:
        magnitude: Float, non-negative. The perturbation's size; what it
            measures is the subclass's to say.
        seed: Int, or `None` for a random one.
    """

    def __init__(self, magnitude, seed=None):
        super().__init__()
        if not magnitude >= 0:
            raise ValueError(
                "Argument `magnitude` must be a non-negative number. "
                f"Received: magnitude={magnitude}"
            )
        self._first_magnitude = float(magnitude)
        self._seed = seed
        self._magnitude = None
        self.generator = None

    def build(self):
        """Creates the variables, once.

        Not in the constructor: a tuner copies callbacks, and variables and
        seed generators do not survive a deep copy.
        """
        if self._magnitude is None:
            # An array, because JAX holds a Python float as a type of its own
            # and compiles again once a number of the usual type is assigned.
            self._magnitude = keras.Variable(
                np.asarray(self._first_magnitude, "float32"),
                name="magnitude",
                trainable=False,
            )
            self.generator = keras.random.SeedGenerator(self._seed)

    @property
    def variables(self):
        """The variables that the compiled step reads and assigns."""
        self.build()
        return [self._magnitude, self.generator.state]

    @property
    def magnitude(self):
        """The perturbation's size now. Assign a number to change it."""
        if self._magnitude is None:
            return self._first_magnitude
        return self._magnitude

    @magnitude.setter
    def magnitude(self, value):
        if self._magnitude is None:
            self._first_magnitude = float(value)
        else:
            self._magnitude.assign(value)

    def offsets(self, weights, unroll):
        """What to add to the weights at each inner step, the same on all tasks.

        Args:
            weights: List of tensors, the student's trainable weights.
            unroll: Int. Inner steps.

        Returns:
            List of tensors `(unroll, *weight.shape)`, or `None` for nothing.
        """
        return None

    def attack(self, weights, gradient):
        """Where to evaluate a task instead, for its whole unroll.

        Args:
            weights: List of tensors, the student's trainable weights as the
                perturbations before this one left them.
            gradient: Function that maps such a list to the gradients of the
                task's outer loss there, over the truncation at hand.

        Returns:
            List of tensors of the same shapes.
        """
        return weights

    def gradient_noise(self, shape, dtype):
        """What to add to the gradients that the student sees.

        Args:
            shape: Tuple `(tasks, unroll, n)`, for `n` coordinates.
            dtype: String.

        Returns:
            Tensor of that shape, or `None` for nothing.
        """
        return None

    def get_config(self):
        magnitude = self.magnitude
        if self._magnitude is not None:
            magnitude = float(keras.ops.convert_to_numpy(magnitude))
        return {"magnitude": magnitude, "seed": self._seed}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
