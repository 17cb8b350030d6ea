from collections.abc import Sequence

from keras import ops

from keras_l2o import numerics
from keras_l2o.typing import Tensor


def adaptive_clip(
    gradients: Sequence[Tensor],
    weights: Sequence[Tensor],
    ratio: float = 0.1,
    floor: float = 1e-3,
) -> list[Tensor]:
    """Adaptive gradient clipping: bounds the gradient of each unit.

    A unit is a column of a matrix, which belongs to one output, or a whole
    vector. The norm of its gradient is at most `ratio * max(norm of its
    weights, floor)` afterwards.

    Args:
        gradients: List of tensors.
        weights: List of tensors of the same shapes.
        ratio: Positive float. Defaults to `0.1`.
        floor: Float. Lets weights that are zero at first change at all.
            Defaults to `1e-3`.

    Returns:
        List of tensors, the clipped gradients.

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
