"""A model, its data and its loss."""

import hashlib
import math
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_l2o import keras_internals
from keras_l2o.problems.datasets import Dataset
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


class Problem:
    """A model, its data and its loss, which optimizers are trained to train.

    Each episode of meta-training starts from new weights, which the model's
    own initializers draw. An initializer with a fixed seed draws the same
    values each time. If `model` is a function that draws numbers from the
    global generators of Python or NumPy, those are not seeded.

    Args:
        model: A built `keras.Model` that can be made again from its config,
            or a function without arguments that returns a built model.
        data: A `Dataset`; a pair `(x, y)` of arrays, or of nests of arrays,
            whose first axes are all the examples; or an object with a method
            `batches(rng, steps)` that returns a pair `(x, y)` of nests of
            arrays `(steps, batch, ...)`. If its examples come again, it says
            so by an attribute `epoch_steps`, an int.
        loss: Anything that `keras.losses.get` takes, or a function
            `(y_true, y_pred)` that returns a tensor, whose mean is the loss.
            Defaults to `None`, sparse categorical cross-entropy from logits.
        batch_size: Int. Examples in a batch. Defaults to `128`.
        name: String. Defaults to `None`, the model's name.

    Raises:
        ValueError: The model is not built, has nothing to train, or cannot be
            made again; or the data is not in one of these forms.

    Attributes:
        model: The `keras.Model`.
        size: Int. The number of the model's trainable parameters.
        epoch_steps: Int. After how many batches the same examples come again;
            0 if they do not.

    Example:

    >>> problem = keras_l2o.problems.Problem(
    ...     model, (x, y), loss="mse", batch_size=4, name="mine")
    >>> problem
    <Problem 'mine', 5 coordinates>
    """

    def __init__(
        self,
        model: keras.Model | Callable[[], keras.Model],
        data: Any,
        loss: Any = None,
        batch_size: int = 128,
        name: str | None = None,
    ) -> None:
        #: How a process that gets this one makes it, instead of reading it: a
        #: function and its arguments.
        self.recipe: tuple[Callable[..., Problem], tuple[Any, ...]] | None
        self.recipe = None
        self._build = model if not isinstance(model, keras.Model) else None
        if self._build is not None and not callable(model):
            raise ValueError(
                "Argument `model` must be a `keras.Model` or a function that "
                f"returns one. Received: model={model!r}"
            )
        made: Any = model if self._build is None else model()
        self.model = made
        if not self.model.built:
            raise ValueError(
                "Argument `model` must be built: give it a `keras.Input`, or "
                f"call it once. Received: model={self.model!r}"
            )
        self.trainable_shapes = [
            tuple(v.shape) for v in self.model.trainable_variables
        ]
        if not self.trainable_shapes:
            raise ValueError(
                "Argument `model` must have trainable variables. Received: "
                f"model={self.model!r}"
            )
        self.size = sum(math.prod(shape) for shape in self.trainable_shapes)
        self.dtype = keras.backend.standardize_dtype(
            self.model.trainable_variables[0].dtype
        )
        self.batch_size = batch_size
        self.name = name or self.model.name
        self.data = data
        self.epoch_steps = getattr(data, "epoch_steps", 0)
        self.loss = _loss_function(loss, self.dtype)
        self._x: Nest = None
        self._y: Nest = None
        if not hasattr(data, "batches"):
            self._x, self._y = _arrays(data)
            self.examples = len(keras.tree.flatten(self._x)[0])
            if not 1 <= batch_size <= self.examples:
                raise ValueError(
                    "Argument `batch_size` must be between 1 and the number "
                    f"of examples, {self.examples}. Received: "
                    f"batch_size={batch_size}"
                )
            self.epoch_steps = self.examples // batch_size
        self.initial_values(0)  # a model that cannot be made again fails here

    def initial_values(
        self, seed: int
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Draws new values for the model's variables from its initializers.

        Args:
            seed: Int. The same seed gives the same values.

        Returns:
            Two lists of NumPy arrays: for `model.trainable_variables` and for
            `model.non_trainable_variables`.
        """
        model = self.new_model(seed)
        convert = keras.ops.convert_to_numpy
        return (
            [np.asarray(convert(v)) for v in model.trainable_variables],
            [np.asarray(convert(v)) for v in model.non_trainable_variables],
        )

    def new_model(self, seed: int) -> keras.Model:
        """Makes the model again, with new values from its initializers.

        Args:
            seed: Int. The same seed gives the same values.

        Returns:
            A built `keras.Model`.
        """
        # Episodes are made in threads, so global generators must stay alone.
        with keras_internals.seeded(seed):
            return self._rebuild()

    def _rebuild(self):
        if self._build is not None:
            return self._build()
        model = self.model
        try:
            if isinstance(model, keras.Sequential) or (
                type(model) is keras.Model
            ):
                return keras.models.clone_model(model)
            twin = type(model).from_config(model.get_config())
            if not twin.built:
                twin.build_from_config(model.get_build_config())
            return twin
        except (NotImplementedError, TypeError, ValueError) as error:
            raise ValueError(
                f"Model {model.name!r} cannot be made again from its config: "
                f"{error} Pass a function that builds it instead."
            ) from error

    def batches(self, rng: np.random.Generator, steps: int) -> Nest:
        """Draws batches: epochs of shuffled examples, one after the other.

        Args:
            rng: `numpy.random.Generator`.
            steps: Int. Number of batches.

        Returns:
            Pair `(x, y)` of nests of NumPy arrays `(steps, batch, ...)`.
        """
        if self._x is None:
            return self.data.batches(rng, steps)
        indices = self._order(rng, steps)
        return keras.tree.map_structure(
            lambda array: array[indices], (self._x, self._y)
        )

    def stream(self, rng: np.random.Generator, steps: int) -> Iterator[Nest]:
        """Draws the same as `batches`, but makes one batch at a time.

        This needs less memory if the data is in arrays. An object with a
        method `batches` still draws all batches at once.

        Args:
            rng: `numpy.random.Generator`.
            steps: Int. Number of batches.

        Yields:
            Pair `(x, y)` of nests of NumPy arrays `(batch, ...)`.
        """
        indices: Any = range(steps)
        if self._x is None:
            source = self.data.batches(rng, steps)
        else:
            source, indices = (self._x, self._y), self._order(rng, steps)
        for index in indices:
            yield keras.tree.map_structure(
                lambda array, index=index: array[index], source
            )

    def _order(self, rng, steps):
        """Indices `(steps, batch)` of the examples in each batch."""
        shown = self.epoch_steps * self.batch_size
        order = [
            rng.permutation(self.examples)[:shown]
            for _ in range(math.ceil(steps / self.epoch_steps))
        ]
        return np.concatenate(order).reshape(-1, self.batch_size)[:steps]

    def loss_value(
        self,
        trainable: Sequence[Tensor],
        non_trainable: Sequence[Tensor],
        batch: Nest,
        training: bool = True,
    ) -> tuple[Tensor, list[Tensor]]:
        """The loss of one batch, as a pure function of the model's weights.

        Args:
            trainable: List of tensors, values for the model's trainable
                variables.
            non_trainable: List of tensors, values for its other variables.
            batch: Pair `(x, y)` of nests of tensors.
            training: Bool. Whether the model runs as in training, with
                dropout and the like. Defaults to `True`.

        Returns:
            Scalar tensor, the loss with the layers' own losses added to it,
            and a list of the new values of the non-trainable variables.
        """
        x, y = batch
        output, new_values, extra = self.model.stateless_call(
            trainable, non_trainable, x, training=training, return_losses=True
        )
        value = ops.cast(ops.mean(self.loss(y, output)), self.dtype)
        for term in extra:
            value = value + ops.cast(term, self.dtype)
        return value, new_values

    def unravel(self, flat: Tensor) -> list[Tensor]:
        """Splits one flat tensor into tensors of the variables' shapes.

        Args:
            flat: Tensor `(size,)`.

        Returns:
            List of tensors, one for each trainable variable.
        """
        tensors, start = [], 0
        for shape in self.trainable_shapes:
            stop = start + math.prod(shape)
            tensors.append(ops.reshape(flat[start:stop], shape))
            start = stop
        return tensors

    def ravel(self, tensors: Sequence[Tensor]) -> Tensor:
        """Joins tensors of the variables' shapes into one flat tensor.

        Args:
            tensors: List of tensors, one for each trainable variable.

        Returns:
            Tensor `(size,)`.
        """
        return ops.concatenate([ops.reshape(t, (-1,)) for t in tensors])

    def digest(self) -> str | None:
        """A digest of the training data, to tell data sets apart.

        Returns:
            String, the SHA-256; `None` if the data is not in arrays.
        """
        if self._x is None:
            return None
        digest = hashlib.sha256()
        for array in keras.tree.flatten((self._x, self._y)):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def __reduce_ex__(self, protocol):
        return self.recipe or super().__reduce_ex__(protocol)

    def __repr__(self):
        return f"<Problem {self.name!r}, {self.size} coordinates>"


def _arrays(data):
    if isinstance(data, Dataset):
        return data.x_train, data.y_train
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(
            "Argument `data` must be a `Dataset`, a pair `(x, y)` of arrays, "
            "or an object with a method `batches(rng, steps)`. Received: "
            f"data of type {type(data)}"
        )
    x, y = keras.tree.map_structure(np.asarray, tuple(data))
    lengths = {len(array) for array in keras.tree.flatten((x, y))}
    if len(lengths) != 1:
        raise ValueError(
            "The arrays of argument `data` must have one first axis. "
            f"Received: first axes of {sorted(lengths)}"
        )
    return x, y


def _loss_function(loss, dtype):
    if loss is None:
        loss = keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, dtype=dtype
        )
    return keras.losses.get(loss)
