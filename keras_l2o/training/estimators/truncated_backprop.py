import keras

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.training.estimators.estimator import Estimator


@keras.saving.register_keras_serializable(package="keras_l2o")
class TruncatedBackprop(Estimator):
    """Differentiates each truncation of an episode on its own. The default.

    The state that a truncation starts from counts as a constant: what the
    weights do to it, and with it to later truncations, is left out. That keeps
    memory and variance low, and biases the gradient towards short horizons.

    Example:

    >>> trainer = keras_l2o.MetaTrainer(
    ...     estimator=keras_l2o.training.estimators.TruncatedBackprop())

    Reference:
        - [Williams and Peng, 1990](https://doi.org/10.1162/neco.1990.2.4.490)
        - [Wu et al., 2018](https://arxiv.org/abs/1803.02021), on the bias
    """

    def estimate(self, task, weights):
        start = task.together(
            numerics.select(task.data["reset"], task.fresh(), task.carried)
        )

        def loss(weights):
            truncation = task.run(weights, start)
            return truncation.losses[0], truncation

        (_, end), gradients = backend.value_and_grad(loss)(weights)
        figures = task.figures(end)
        carried = task.next_start(end, figures.finite)
        return task.result(gradients, carried, figures)
