from collections.abc import Sequence

import keras

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.training.estimators.estimator import Estimator
from keras_l2o.training.task import Task
from keras_l2o.training.task import TaskResult
from keras_l2o.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_l2o")
class TruncatedBackprop(Estimator):
    """Differentiates each truncation of an episode on its own.

    It is the default of `MetaTrainer`. For a truncation of `K` inner steps
    that starts from the state `s`, the estimate is the gradient

        d/dw L(s_1(s, w), ..., s_K(s, w))

    of the objective, where `s_k(s, w)` is the state after `k` steps of a
    student of the weights `w`. The state `s` counts as a constant, although
    the weights have had an effect on it in earlier truncations. That keeps
    memory and variance low, and biases the gradient towards short horizons.

    Example:

    >>> trainer = keras_l2o.MetaTrainer(
    ...     problems="quadratic_10",
    ...     estimator=keras_l2o.training.estimators.TruncatedBackprop())

    Reference:
        - [Williams and Peng, 1990](https://doi.org/10.1162/neco.1990.2.4.490)
        - [Wu et al., 2018](https://arxiv.org/abs/1803.02021), on the bias
    """

    def estimate(self, task: Task, weights: Sequence[Tensor]) -> TaskResult:
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
