from typing import Any

from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.training import checks
from keras_l2o.typing import Tensor


class Balance:
    """What is made of the outer gradients of many tasks.

    Args:
        clipping: Float. Largest norm of the outer gradient of a single task,
            before the mean over tasks. A task whose outer gradient is not
            finite is then left out of the mean. Defaults to `None`, no bound.
        emphasis: Float. A problem counts `exp(emphasis * lead)` times, where
            `lead` is how far the student's meta loss is above that of the best
            teacher, each on its own parameters; or above zero if there is no
            teacher. So problems that are won already count less, and those
            that are lost more. Teachers should not be synchronized then.
            Defaults to `0.0`: all count alike.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> trainer = keras_l2o.MetaTrainer(
    ...     problems=["quadratic_10", "rastrigin_2"],
    ...     synchronize_teachers=False)
    >>> trainer.compile(
    ...     balance=keras_l2o.training.Balance(clipping=1.0, emphasis=3.0))
    """

    def __init__(
        self, clipping: float | None = None, emphasis: float = 0.0
    ) -> None:
        self.clipping = checks.number_or_none("clipping", clipping, above=0.0)
        self.emphasis = checks.number("emphasis", emphasis)

    def mean(
        self, weights: list[Tensor], results: list[Any]
    ) -> tuple[list[Tensor], Tensor]:
        """The mean of the outer gradients that count, weighed by problem.

        Args:
            weights: List of tensors, the student's weights.
            results: List over problems of `TaskResult`, stacked over tasks.

        Returns:
            List of tensors, and how many tasks there were, a scalar.
        """
        gradients = [ops.zeros_like(weight) for weight in weights]
        count = total = ops.zeros(())
        for result in results:
            found, counts = result.gradients, result.counts
            if self.clipping is not None:
                found, finite = _clipped(found, self.clipping)
                counts = ops.logical_and(counts, finite)
            weight, tasks = self._weight(result, counts)
            gradients = [
                gradient
                + ops.cast(weight, gradient.dtype) * _masked_sum(part, counts)
                for gradient, part in zip(gradients, found)
            ]
            count, total = count + tasks, total + weight * tasks
        *gradients, count, total = backend.sum_devices(
            [*gradients, count, total]
        )
        total = ops.where(count > 0, total, ops.ones_like(total))
        gradients = [
            gradient / ops.cast(total, gradient.dtype) for gradient in gradients
        ]
        return gradients, count

    def _weight(self, result, counts):
        """A problem's weight, and how many of its tasks count."""
        tasks = ops.sum(ops.cast(counts, "float32"))
        if not self.emphasis:
            return ops.ones(()), tasks
        leads = result.figures.leads()
        leads = ops.where(counts, leads, ops.zeros_like(leads))
        lead = ops.sum(ops.cast(leads, "float32")) / ops.maximum(tasks, 1.0)
        return ops.exp(self.emphasis * ops.clip(lead, -3.0, 3.0)), tasks


def _clipped(gradients, bound):
    """Gradients stacked over tasks, each task's of at most this norm.

    Returns:
        The gradients, and a boolean for each task: whether its are finite.
    """
    tasks = gradients[0].shape[0]
    joined = ops.concatenate(
        [ops.reshape(gradient, (tasks, -1)) for gradient in gradients], axis=1
    )
    length = numerics.norm(joined, (1,))
    factor = ops.minimum(1.0, bound / ops.maximum(length, bound * 1e-3))
    clipped = [
        gradient
        * ops.reshape(
            ops.cast(factor, gradient.dtype),
            (tasks,) + (1,) * (len(gradient.shape) - 1),
        )
        for gradient in gradients
    ]
    return clipped, ops.all(ops.isfinite(joined), axis=1)


def _masked_sum(stacked, mask):
    """Sum over the first axis of the entries that the mask holds for."""
    mask = ops.reshape(mask, (-1,) + (1,) * (len(stacked.shape) - 1))
    return ops.sum(ops.where(mask, stacked, ops.zeros_like(stacked)), axis=0)
