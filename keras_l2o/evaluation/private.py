"""Differentially private training.

The gradient of each example is clipped and noise is added to their sum, which
bounds how much the trained model can reveal of any one example.
"""

from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import backend
from keras_l2o import extras


class Privacy(NamedTuple):
    """Settings of private training.

    Attributes:
        clip: Float. The gradient of an example is scaled down if its norm is
            larger. Defaults to `1.0`.
        noise_multiplier: Float. Standard deviation of the noise that is added
            to the sum of a batch's gradients, as a multiple of `clip`. Defaults
            to `1.1`.
        delta: Float. Probability with which the privacy loss may exceed
            epsilon. Defaults to `1e-5`.
    """

    clip: float = 1.0
    noise_multiplier: float = 1.1
    delta: float = 1e-5


def epsilon(privacy, batch_size, examples, steps):
    """The privacy loss epsilon of a training.

    It is computed as if each batch were a Poisson sample of the examples, as is
    the convention, although batches are parts of shuffled epochs.

    Args:
        privacy: `Privacy`.
        batch_size: Int. Examples of a batch.
        examples: Int. Examples of the data set.
        steps: Int. Steps of the training.

    Returns:
        Float.

    Raises:
        keras_l2o.extras.MissingExtra: dp-accounting is not installed.

    Reference:
        - [Mironov et al., 2019](https://arxiv.org/abs/1908.10530)
    """
    extras.need("private", "Private training")
    import dp_accounting
    from dp_accounting import rdp

    event = dp_accounting.PoissonSampledDpEvent(
        batch_size / examples,
        dp_accounting.GaussianDpEvent(privacy.noise_multiplier),
    )
    accountant = rdp.RdpAccountant()
    accountant.compose(event, steps)
    return float(accountant.get_epsilon(privacy.delta))


def clip_by_norm(gradients, clip):
    """Scales each example's gradient down to a norm of at most `clip`.

    Args:
        gradients: List of tensors `(examples, ...)`, one for each variable.
        clip: Float. Largest norm of an example's gradient, over all variables
            together.

    Returns:
        List of tensors of the same shapes.
    """
    square = sum(
        ops.sum(ops.square(ops.reshape(g, (g.shape[0], -1))), axis=1)
        for g in gradients
    )
    factor = clip * ops.rsqrt(ops.maximum(square, clip**2))
    return [
        g * ops.reshape(factor, (-1,) + (1,) * (len(g.shape) - 1))
        for g in gradients
    ]


class PrivateModel(backend.StatefulStep, keras.Model):
    """A model whose training clips each example's gradient and adds noise.

    Args:
        problem: `Problem`, whose loss is minimized.
        network: `keras.Model` that `problem.new_model` has returned. Its
            variables are trained.
        privacy: `Privacy`.
        seed: Int. Seed of the noise.

    Raises:
        ValueError: The model has non-trainable variables, as batch
            normalization has.

    Reference:
        - [Abadi et al., 2016](https://arxiv.org/abs/1607.00133)
    """

    def __init__(self, problem, network, privacy, seed):
        super().__init__(name=f"private_{network.name}")
        if network.non_trainable_variables:
            raise ValueError(
                "Private training needs a model that treats each example of a "
                "batch on its own: without batch normalization or other "
                f"non-trainable variables. Received: {network.name}"
            )
        self.problem = problem
        self.network = network
        self.privacy = privacy
        self._seeds = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        return self.network(inputs)

    def outer_step(self, data):
        """Makes one step of training.

        Args:
            data: Tuple of the inputs and the targets of a batch.

        Returns:
            Dict with `loss`, a scalar: the mean over the batch.
        """
        # On torch, Keras passes NumPy arrays.
        x, y = keras.tree.map_structure(ops.convert_to_tensor, data[:2])
        variables = self.network.trainable_variables
        values, gradients = backend.per_example_gradients(self._loss)(
            [backend.read(v) for v in variables], (x, y)
        )
        batch_size = x.shape[0]
        stddev = self.privacy.noise_multiplier * self.privacy.clip
        private = []
        for gradient in clip_by_norm(gradients, self.privacy.clip):
            total = ops.sum(gradient, axis=0)
            noise = keras.random.normal(
                total.shape, stddev=stddev, dtype=total.dtype, seed=self._seeds
            )
            private.append((total + noise) / batch_size)
        # It divides them by its `loss_scale_factor`, if it has one.
        scaled = [self.optimizer.scale_loss(gradient) for gradient in private]
        self.optimizer.apply(scaled, variables)
        return {"loss": ops.mean(values)}

    def _loss(self, variables, example):
        x, y = example
        value, _ = self.problem.loss_value(
            variables, [], (ops.expand_dims(x, 0), ops.expand_dims(y, 0))
        )
        return value
