from keras import ops

from keras_l2o import backend
from keras_l2o import keras_internals
from keras_l2o import numerics
from keras_l2o.training.clipping import adaptive_clip


class OuterUpdate:
    """The outer optimizer as a pure function, with a guard before it.

    Args:
        optimizer: The outer `keras.optimizers.Optimizer`, built for the
            student's trainable variables.
        clipping: Float or `None`. Ratio of adaptive gradient clipping.
        floor: Float. As in `adaptive_clip`.
    """

    def __init__(self, optimizer, clipping, floor):
        self.clipping, self.floor = clipping, floor
        rate = keras_internals.learning_rate_variable(optimizer)
        #: The learning rate's variable, in a list; none if a schedule gives it.
        self.rates = [] if rate is None else [rate]
        self._is_rate = [variable is rate for variable in optimizer.variables]
        #: The optimizer's other variables.
        self.variables = [
            variable
            for variable, is_rate in zip(optimizer.variables, self._is_rate)
            if not is_rate
        ]
        self._scale = optimizer.scale_loss
        self._apply = backend.stateless_apply(optimizer)

    def __call__(self, weights, values, rates, gradients, valid):
        """Updates the student, unless the outer gradient is not finite.

        Args:
            weights, gradients: Lists of tensors, one a variable.
            values, rates: Lists of tensors, of `variables` and `rates`.
            valid: Boolean scalar: whether any task gave a gradient.

        Returns:
            The new weights, the new values, and a boolean scalar: whether the
            update was applied.
        """
        finite = ops.logical_and(numerics.all_finite(gradients), valid)
        gradients = [
            ops.where(finite, gradient, ops.zeros_like(gradient))
            for gradient in gradients
        ]
        if self.clipping is not None:
            gradients = adaptive_clip(
                gradients, weights, self.clipping, self.floor
            )
        # The optimizer divides by its `loss_scale_factor`, if it has one.
        gradients = [self._scale(gradient) for gradient in gradients]
        others, rate = iter(values), iter(rates)
        all_values = [next(rate if it else others) for it in self._is_rate]
        new_weights, new_values = self._apply(all_values, gradients, weights)
        new_values = [
            value
            for value, is_rate in zip(new_values, self._is_rate)
            if not is_rate
        ]
        # A zero gradient would still decay the moments: what was, stays.
        return (
            _where(finite, new_weights, weights),
            _where(finite, new_values, values),
            finite,
        )


def _where(condition, new, old):
    return [ops.where(condition, a, b) for a, b in zip(new, old)]
