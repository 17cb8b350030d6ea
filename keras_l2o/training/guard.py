from keras import ops

from keras_l2o import backend
from keras_l2o import numerics
from keras_l2o.training.clipping import adaptive_clip


def guarded_apply(
    optimizer, variables, weights, gradients, valid, clipping, floor
):
    """Updates the student, unless the outer gradient is not finite.

    Args:
        optimizer: The outer optimizer, built for `variables`.
        variables: The student's trainable variables.
        weights, gradients: Lists of tensors, one a variable.
        valid: Boolean scalar: whether any task gave a gradient.
        clipping, floor: As in `adaptive_clip`; `None` for no clipping.

    Returns:
        Boolean scalar: whether the update was applied.
    """
    finite = ops.logical_and(numerics.all_finite(gradients), valid)
    gradients = [
        ops.where(finite, gradient, ops.zeros_like(gradient))
        for gradient in gradients
    ]
    if clipping is not None:
        gradients = adaptive_clip(gradients, weights, clipping, floor)
    everything = [*variables, *optimizer.variables]
    before = [ops.copy(backend.read(v)) for v in everything]
    backend.apply_gradients(optimizer, gradients, variables)
    # A zero gradient would still decay the moments: put everything back.
    for variable, value in zip(everything, before):
        variable.assign(ops.where(finite, backend.read(variable), value))
    return finite
