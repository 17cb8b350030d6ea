import hashlib
import math

import keras
import numpy as np
from keras import ops

from keras_l2o import keras_internals
from keras_l2o.problems.datasets import Dataset


class Problem:
    """An optimizee, its data and its loss: what an optimizer is trained on.

    Args:
        model: A built `keras.Model` that can be made again from its config,
            or a function without arguments that returns a built model.
        data: A `Dataset`, a pair `(x, y)` of arrays or nests of arrays with
            one first axis, or an object with a method
            `batches(rng, steps)` that returns a nest of arrays
            `(steps, batch, ...)`, a pair `(x, y)` at the top.
        loss: What `keras.losses.get` takes, or a function
            `(y_true, y_pred)` whose mean over the batch counts. Defaults to
            sparse categorical cross-entropy from logits.
        batch_size: Int. Defaults to `128`.
        name: String. Defaults to the model's name.

    Each episode starts from new values of the model's own initializers. An
    initializer with a fixed seed gives the same values each time. What a
    function draws itself, from Python's or NumPy's global generators, is not
    seeded.

    Example:

    >>> model = keras.Sequential(
    ...     [keras.Input((8, 8, 1)), keras.layers.Flatten(),
    ...      keras.layers.Dense(10)])
    >>> problem = keras_l2o.problems.Problem(
    ...     model, keras_l2o.problems.load_dataset("digits"))
    """

    def __init__(self, model, data, loss=None, batch_size=128, name=None):
        self._build = model if not isinstance(model, keras.Model) else None
        if self._build is not None and not callable(model):
            raise ValueError(
                "Argument `model` must be a `keras.Model` or a function that "
                f"returns one. Received: model={model!r}"
            )
        self.model = model if self._build is None else model()
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
        self.loss = _loss_function(loss, self.dtype)
        self._x, self._y = None, None
        if not hasattr(data, "batches"):
            self._x, self._y = _arrays(data)
            self.examples = len(keras.tree.flatten(self._x)[0])
            if not 1 <= batch_size <= self.examples:
                raise ValueError(
                    "Argument `batch_size` must be between 1 and the number "
                    f"of examples, {self.examples}. Received: "
                    f"batch_size={batch_size}"
                )
        self.initial_values(0)  # a model that cannot be made again fails here

    def initial_values(self, seed):
        """New values for the model's variables, from its initializers.

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

    def new_model(self, seed):
        """The model made again, with new values from its initializers.

        Args:
            seed: Int. The same seed gives the same values.
        """
        # Episodes are made in threads beside the user's.
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

    def batches(self, rng, steps):
        """Draws batches: epochs of shuffled examples, one after the other.

        Args:
            rng: `numpy.random.Generator`.
            steps: Int. Number of batches.

        Returns:
            Nest of NumPy arrays `(steps, batch, ...)`, a pair `(x, y)`.
        """
        if self._x is None:
            return self.data.batches(rng, steps)
        indices = self._order(rng, steps)
        return keras.tree.map_structure(
            lambda array: array[indices], (self._x, self._y)
        )

    def stream(self, rng, steps):
        """Yields what `batches` draws, one batch at a time.

        Data that is not in arrays is still drawn at once.
        """
        if self._x is None:
            source, indices = self.data.batches(rng, steps), range(steps)
        else:
            source, indices = (self._x, self._y), self._order(rng, steps)
        for index in indices:
            yield keras.tree.map_structure(
                lambda array, index=index: array[index], source
            )

    def _order(self, rng, steps):
        """Which examples `(steps, batch)` are in each batch."""
        per_epoch = self.examples // self.batch_size
        order = [
            rng.permutation(self.examples)[: per_epoch * self.batch_size]
            for _ in range(math.ceil(steps / per_epoch))
        ]
        return np.concatenate(order).reshape(-1, self.batch_size)[:steps]

    def loss_value(self, trainable, non_trainable, batch, training=True):
        """The loss of one batch, as a pure function.

        Args:
            trainable, non_trainable: Lists of tensors, for the model's
                variables.
            batch: A pair `(x, y)` of nests of tensors.
            training: Bool. Whether layers such as dropout are at work.

        Returns:
            Scalar tensor, with the layers' own losses added, and the new
            values of the non-trainable variables.
        """
        x, y = batch
        output, non_trainable, extra = self.model.stateless_call(
            trainable, non_trainable, x, training=training, return_losses=True
        )
        value = ops.cast(ops.mean(self.loss(y, output)), self.dtype)
        for term in extra:
            value = value + ops.cast(term, self.dtype)
        return value, non_trainable

    def unravel(self, flat):
        """Splits `(n,)` coordinates into tensors of the variables' shapes."""
        tensors, start = [], 0
        for shape in self.trainable_shapes:
            stop = start + math.prod(shape)
            tensors.append(ops.reshape(flat[start:stop], shape))
            start = stop
        return tensors

    def ravel(self, tensors):
        """Joins tensors of the variables' shapes into `(n,)` coordinates."""
        return ops.concatenate([ops.reshape(t, (-1,)) for t in tensors])

    def digest(self):
        """SHA-256 of the training data, or `None` if it is not in arrays."""
        if self._x is None:
            return None
        digest = hashlib.sha256()
        for array in keras.tree.flatten((self._x, self._y)):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

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
