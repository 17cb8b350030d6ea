"""The base class of perturbations."""

from collections.abc import Callable
from collections.abc import Sequence

import keras
import numpy as np

from keras_l2o.typing import Config
from keras_l2o.typing import Tensor


class Perturbation(keras.callbacks.Callback):
    """Base class of callbacks that disturb the student inside the outer step.

    Pass it to `MetaTrainer.fit(callbacks=[...])`. If there are several, they
    act one after the other, in the order of the list. The weights that are
    stored are never changed: the outer gradient is computed at the disturbed
    weights and applied to the stored ones. `magnitude` can be set while `fit`
    runs, by another callback or a tuner, and nothing is compiled again.

    A subclass implements one of `offsets`, `attack` and `gradient_noise`.

    Args:
        magnitude: Non-negative float. How strong the perturbation is; each
            subclass says what it measures.
        seed: Int. Seed of the noise. Defaults to `None`, a random seed.

    Raises:
        ValueError: `magnitude` is negative or not a number.

    Example:

    >>> class Shift(keras_l2o.perturbations.Perturbation):
    ...     def attack(self, weights, gradient):
    ...         return [weight + self.magnitude for weight in weights]
    >>> shift = Shift(magnitude=0.01)
    >>> shift.magnitude = 0.02
    >>> history = trainer.fit(
    ...     callbacks=[shift], epochs=1, steps_per_epoch=1, verbose=0)
    """

    def __init__(self, magnitude: float, seed: int | None = None) -> None:
        super().__init__()
        if not magnitude >= 0:
            raise ValueError(
                "Argument `magnitude` must be a non-negative number. "
                f"Received: magnitude={magnitude}"
            )
        self._first_magnitude = float(magnitude)
        self._seed = seed
        self._magnitude: keras.Variable | None = None
        self.generator: keras.random.SeedGenerator | None = None

    def build(self) -> None:
        """Creates the variables, when it is called for the first time.

        The constructor does not, because tuners copy callbacks, and variables
        and seed generators do not survive a deep copy.
        """
        if self._magnitude is None:
            # From an array: from a Python float JAX would make a weakly typed
            # value, and compile again once another number is assigned.
            self._magnitude = keras.Variable(
                np.asarray(self._first_magnitude, "float32"),
                name="magnitude",
                trainable=False,
            )
            self.generator = keras.random.SeedGenerator(self._seed)

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that the compiled step reads and assigns."""
        self.build()
        assert self.generator is not None
        return [self._magnitude, self.generator.state]

    @property
    def magnitude(self) -> float | keras.Variable:
        """How strong the perturbation is now; assign a float to change it.

        A float, or a scalar variable once `build` was called.
        """
        if self._magnitude is None:
            return self._first_magnitude
        return self._magnitude

    @magnitude.setter
    def magnitude(self, value: float) -> None:
        if self._magnitude is None:
            self._first_magnitude = float(value)
        else:
            self._magnitude.assign(value)

    def offsets(
        self, weights: Sequence[Tensor], unroll: int
    ) -> list[Tensor] | None:
        """What to add to the weights at each inner step, the same in all tasks.

        Args:
            weights: List of tensors, the student's trainable weights.
            unroll: Int. How many inner steps there are.

        Returns:
            List of tensors `(unroll, *weight.shape)`, or `None` for nothing.
        """
        return None

    def attack(
        self,
        weights: Sequence[Tensor],
        gradient: Callable[[Sequence[Tensor]], list[Tensor]],
    ) -> Sequence[Tensor]:
        """The weights at which to evaluate a task, for its whole unroll.

        Args:
            weights: List of tensors, the student's trainable weights, as the
                perturbations before this one have changed them.
            gradient: Function that maps such a list to the gradients of the
                task's outer loss at these weights, over this truncation.

        Returns:
            List of tensors of the same shapes.
        """
        return weights

    def gradient_noise(
        self, shape: tuple[int, ...], dtype: str
    ) -> Tensor | None:
        """What to add to the gradients that the student sees.

        Args:
            shape: Tuple `(tasks, unroll, n)`, for `n` coordinates.
            dtype: String, the type of the gradients.

        Returns:
            Tensor of that shape and type, or `None` for nothing.
        """
        return None

    def get_config(self) -> Config:
        """The arguments of the constructor, with the magnitude as it is now.

        Returns:
            Dict, for `from_config`.
        """
        magnitude = self.magnitude
        if self._magnitude is not None:
            magnitude = float(keras.ops.convert_to_numpy(magnitude))
        return {"magnitude": magnitude, "seed": self._seed}

    @classmethod
    def from_config(cls, config: Config) -> "Perturbation":
        """Makes a perturbation from what `get_config` returned.

        Args:
            config: Dict.

        Returns:
            A new perturbation of this class.
        """
        return cls(**config)
