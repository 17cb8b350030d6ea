from keras import ops

from keras_l2o import numerics


def adaptive_clip(gradients, weights, ratio=0.1, floor=1e-3):
    """Bounds each unit's gradient by a multiple of the unit's norm.

    Args:
        gradients, weights: Lists of tensors of the same shapes. A unit is a
            column of a matrix (an output), or a whole vector.
        ratio: Float, the multiple.
        floor: Float. A unit's norm counts as at least this, so that weights
            that start at zero can leave it.

    Reference:
        - [Brock et al., 2021](https://arxiv.org/abs/2102.06171)
    """
    return [
        numerics.within_norm(
            gradient,
            ratio * ops.maximum(numerics.norm(weight, _unit(weight)), floor),
            _unit(gradient),
        )
        for gradient, weight in zip(gradients, weights)
    ]


def _unit(tensor):
    """The axes of a unit."""
    return tuple(range(len(tensor.shape) - 1)) or None
