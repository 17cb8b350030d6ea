"""Private training: what a model tells of any one example is bounded."""

from typing import NamedTuple

import keras
from keras import ops

from keras_l2o import backend
from keras_l2o import extras


class Privacy(NamedTuple):
    """Settings of private training.

    Attributes:
        clip: Float. Most that the norm of one example's gradient counts.
        noise_multiplier: Float. Standard deviation of the noise on a batch's
            sum of gradients, as a multiple of `clip`.
        delta: Float. Probability with which the bound may fail.
    """

    clip: float = 1.0
    noise_multiplier: float = 1.1
    delta: float = 1e-5


def epsilon(privacy, batch_size, examples, steps):
    """The privacy loss that a training spends.

    As is the convention, batches count as Poisson samples of the data
    although they are taken from shuffled epochs.

    Args:
        privacy: `Privacy`.
        batch_size, examples, steps: Ints.

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
    """Bounds the norm of each example's gradient.

    Args:
        gradients: List of tensors `(examples, ...)`, one a variable.
        clip: Float, the most that the norm over all variables may be.

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
        problem: The `Problem` that the model is of.
        network: A model that `problem.new_model` returned; its variables are
            the ones trained.
        privacy: `Privacy`.
        seed: Int. Seed of the noise.

    Reference:
        - [Abadi et al., 2016](https://arxiv.org/abs/1607.00133)
    """

    def __init__(self, problem, network, privacy, seed):
        super().__init__(name=f"private_{network.name}")
        if network.non_trainable_variables:
            raise ValueError(
                "Private training wants a model in which examples do not "
                "touch each other: one without batch normalization or other "
                f"variables that no gradient trains. Received: {network.name}"
            )
        self.problem = problem
        self.network = network
        self.privacy = privacy
        self._seeds = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        return self.network(inputs)

    def outer_step(self, data):
        """One step of training, on any backend."""
        # Torch's trainer hands over arrays as they are.
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
        self.optimizer.apply(private, variables)
        return {"loss": ops.mean(values)}

    def _loss(self, variables, example):
        x, y = example
        value, _ = self.problem.loss_value(
            variables, [], (ops.expand_dims(x, 0), ops.expand_dims(y, 0))
        )
        return value
