import keras
from keras import ops


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
        gradient * _clip_factor(gradient, weight, ratio, floor)
        for gradient, weight in zip(gradients, weights)
    ]


def _clip_factor(gradient, weight, ratio, floor):
    bound = ratio * ops.maximum(_unit_norm(weight), floor)
    norm = ops.maximum(_unit_norm(gradient), keras.config.epsilon() ** 2)
    return ops.minimum(bound / norm, 1.0)


def _unit_norm(tensor):
    axes = tuple(range(len(tensor.shape) - 1)) or None
    return ops.sqrt(ops.sum(ops.square(tensor), axis=axes, keepdims=True))
