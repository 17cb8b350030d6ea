"""How much each task counts in the outer gradient."""

from typing import NamedTuple

from keras import ops

from keras_l2o import backend
from keras_l2o import numerics


class Balance(NamedTuple):
    """What is made of the outer gradients of many tasks."""

    clipping: float | None = None  # largest norm of a task's outer gradient
    # How many times more a problem counts, in powers of e, where the student's
    # meta loss is 1 further above the best teacher's.
    emphasis: float = 0.0

    def mean(self, weights, results):
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
