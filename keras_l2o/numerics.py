"""Functions whose value and gradient stay finite where training passes.

Meta-training differentiates through whole trainings, and there a zero is an
ordinary event: the gradient of a dead unit, or the distance between a student
and its teacher before their first step. A plain square root has an infinite
slope at zero and a plain logarithm an infinite value. Whatever meta-training
differentiates uses the functions of this module instead.
"""

import math
from collections.abc import Sequence
from typing import Literal

import keras
import ml_dtypes
from keras import ops

from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


def inverse_root(value: Tensor, epsilon: float | Tensor) -> Tensor:
    """Returns `1 / sqrt(value + epsilon)`.

    The epsilon is inside the root, so that the slope at zero is finite.

    Args:
        value: Float tensor of non-negative numbers.
        epsilon: Positive float or scalar tensor. The result is at most
            `epsilon ** -0.5`.

    Returns:
        Tensor of the shape of `value`.

    Example:

    >>> roots = keras_l2o.numerics.inverse_root(np.array([0.0, 0.75]), 0.25)
    >>> np.array(roots).tolist()
    [2.0, 1.0]
    """
    return ops.rsqrt(value + epsilon)


def safe_log(value: Tensor, floor: float = 1e-30) -> Tensor:
    """Natural logarithm of `max(value, floor)`.

    Where `value` is not above the floor, the gradient is zero.

    Args:
        value: Float tensor of non-negative numbers.
        floor: Positive float. Defaults to `1e-30`, which float32 can still
            represent.

    Returns:
        Tensor of the shape of `value`.

    Example:

    >>> logs = keras_l2o.numerics.safe_log(np.array([0.0, 1.0]), floor=1e-3)
    >>> np.array(logs).round(2).tolist()
    [-6.91, 0.0]
    """
    above = value > floor
    # Selecting only the result would not be enough: `where` multiplies the
    # gradient of the branch that is not taken by zero, and `0 * inf` is NaN.
    # So the logarithm must not see the zero in the first place.
    safe = ops.where(above, value, ops.ones_like(value))
    return ops.where(above, ops.log(safe), ops.log(ops.full_like(value, floor)))


def bias_correction(
    decay: float | Tensor,
    step: Tensor,
    kind: Literal["paper", "constant"] | None,
) -> Tensor:
    """Divisor that corrects a decayed average for its start at zero.

    Args:
        decay: Float or scalar tensor in `[0, 1)`. The decay of the average.
        step: Float tensor. Number of gradients averaged so far, at least 1.
        kind: `"paper"` for `1 - decay ** step` (Kingma and Ba, 2015);
            `"constant"` for `1 - decay`, which is what the code of Optimizer
            Amalgamation from 2021 does; or `None` for no correction.

    Returns:
        Tensor of the shape of `step`.

    Reference:
        - [Kingma and Ba, 2015](https://arxiv.org/abs/1412.6980)

    Example:

    >>> step = keras.ops.convert_to_tensor(2.0)
    >>> float(keras_l2o.numerics.bias_correction(0.5, step, "paper"))
    0.75
    """
    if kind is None:
        return ops.ones_like(step)
    if kind == "constant":
        return ops.ones_like(step) * (1.0 - decay)
    # To cast a Python number would round it to 32 bits on TensorFlow.
    exact = ops.convert_to_tensor if isinstance(decay, float) else ops.cast
    return 1.0 - ops.power(exact(decay, step.dtype), step)


def all_finite(tensors: Nest) -> Tensor:
    """Whether every floating-point number in a nest of tensors is finite.

    Args:
        tensors: Nest of tensors of any types; integers count as finite.

    Returns:
        Boolean scalar tensor.

    Example:

    >>> tensors = {"kernel": keras.ops.ones((2, 2)), "bias": [np.array(np.nan)]}
    >>> bool(keras_l2o.numerics.all_finite(tensors))
    False
    """
    flags = [
        ops.all(ops.isfinite(tensor))
        for tensor in keras.tree.flatten(tensors)
        if keras.backend.is_float_dtype(
            keras.backend.standardize_dtype(tensor.dtype)
        )
    ]
    return ops.all(ops.stack(flags)) if flags else ops.convert_to_tensor(True)


def norm(tensor: Tensor, axis: tuple[int, ...] | None = None) -> Tensor:
    """Euclidean norm that neither overflows nor underflows on the way.

    In float32 the square of `1e-24` is zero and that of `1e20` is infinite,
    although both numbers have a norm. Do not differentiate through this
    function: the slope at a zero tensor is not finite.

    Args:
        tensor: Float tensor.
        axis: Tuple of ints, the axes to sum over; they are kept, with size 1.
            Defaults to `None`, which sums over all axes and returns a scalar.

    Returns:
        Tensor, a scalar if `axis` is `None`.

    Example:

    >>> huge = np.array([3e30, 4e30], "float32")
    >>> f"{float(keras_l2o.numerics.norm(huge)):.1e}"
    '5.0e+30'
    """
    scale = _scale(tensor, axis)
    length = scale * _root_of_squares(tensor / scale, axis)
    return ops.reshape(length, ()) if axis is None else length


def within_norm(
    tensor: Tensor,
    bound: float | Tensor,
    axis: tuple[int, ...] | None = None,
) -> Tensor:
    """Scales a tensor down until its norm is at most `bound`.

    Args:
        tensor: Float tensor.
        bound: Non-negative float, or tensor that broadcasts against `tensor`.
        axis: Tuple of ints, the axes that a norm is taken over. Defaults to
            `None`, all axes.

    Returns:
        Tensor of the same shape; `tensor` itself if its norm is small enough.

    Example:

    >>> clipped = keras_l2o.numerics.within_norm(np.array([3.0, 4.0]), 1.0)
    >>> np.array(clipped).round(2).tolist()
    [0.6, 0.8]
    """
    above = norm(tensor, axis) > bound
    return ops.where(above, of_norm(tensor, bound, axis), tensor)


def of_norm(
    tensor: Tensor,
    length: float | Tensor,
    axis: tuple[int, ...] | None = None,
) -> Tensor:
    """Scales a tensor so that its norm is `length`.

    Args:
        tensor: Float tensor.
        length: Float, or tensor that broadcasts against `tensor`. The norm of
            the result.
        axis: Tuple of ints, the axes that a norm is taken over. Defaults to
            `None`, all axes.

    Returns:
        Tensor of the same shape; zeros where `tensor` is zero.

    Example:

    >>> scaled = keras_l2o.numerics.of_norm(np.array([0.0, 0.1]), 2.0)
    >>> np.array(scaled).round(2).tolist()
    [0.0, 2.0]
    """
    scaled = tensor / _scale(tensor, axis)
    # Unless all are zero, the largest of these numbers is at least 1, and so
    # is their norm: the maximum below changes nothing but a zero.
    return scaled * (length / ops.maximum(_root_of_squares(scaled, axis), 1.0))


def _scale(tensor, axis):
    """Largest power of two that is at most the largest number; 1 for zeros.

    Dividing by a power of two rounds nothing.
    """
    size = ops.max(ops.abs(tensor), axis=axis, keepdims=True)
    bits = ops.view(ops.cast(size, "float32"), "int32")
    power = ops.view(ops.bitwise_and(bits, 0x7F800000), "float32")
    # Numbers below the smallest normal float32 count as zero. Some devices
    # flush them to zero by themselves, and all shall give the same.
    power = ops.where(power > 1e-37, power, ops.ones_like(power))
    return ops.cast(power, tensor.dtype)


def _root_of_squares(tensor, axis):
    return ops.sqrt(ops.sum(ops.square(tensor), axis=axis, keepdims=True))


def select(condition: Tensor, chosen: Nest, otherwise: Nest) -> Nest:
    """Picks one of two nests of tensors.

    Args:
        condition: Boolean scalar tensor, or one that broadcasts against each
            tensor of the nests.
        chosen: Nest of tensors, taken where the condition holds.
        otherwise: Nest of the same structure and shapes.

    Returns:
        Nest of the same structure and shapes.

    Example:

    >>> old, new = [np.zeros(2)], [np.ones(2)]
    >>> [picked] = keras_l2o.numerics.select(np.array(True), new, old)
    >>> np.array(picked).tolist()
    [1.0, 1.0]
    """
    return keras.tree.map_structure(
        lambda a, b: ops.where(condition, a, b), chosen, otherwise
    )


def root_of_largest(dtype: str) -> float:
    """A power of two whose square is well below the largest of its type.

    Args:
        dtype: String, the name of a floating-point type.

    Returns:
        Float.

    Example:

    >>> keras_l2o.numerics.root_of_largest("float32") == 2.0**63
    True
    """
    return 2.0 ** (ml_dtypes.finfo(dtype).maxexp // 2 - 1)


def counter_uniform(keys: Sequence[int | Tensor], count: int) -> Tensor:
    """Pseudo-random numbers in `(0, 1)`, a pure function of their keys.

    This is noise for places that cannot keep the state of a random generator,
    such as the body of a compiled loop. The same keys give the same numbers
    on every backend.

    Args:
        keys: List of ints or int scalar tensors, such as a seed and a step.
        count: Int. How many numbers to draw.

    Returns:
        float32 tensor of shape `(count,)`.

    Example:

    >>> drawn = keras_l2o.numerics.counter_uniform([3, 1], 2)
    >>> again = keras_l2o.numerics.counter_uniform([3, 1], 2)
    >>> bool(keras.ops.all(drawn == again))
    True
    """
    key = ops.full((), 0x3C6EF372, "int32")
    for part in keys:
        key = _mix(ops.bitwise_xor(key, ops.cast(part, "int32")))
    # Two rounds with two keys. With one round, two streams whose keys differ
    # in the low bits alone would hold the same numbers in another order.
    bits = _mix(ops.arange(count, dtype="int32") + key)
    bits = _mix(ops.bitwise_xor(bits, _mix(key + 0x1E3779B9)))
    # 23 bits and a half, which float32 represents: never 0, never 1.
    return (ops.cast(_shift(bits, 9), "float32") + 0.5) * 2.0**-23


def round_at_random(value: Tensor, keys: Sequence[int | Tensor]) -> Tensor:
    """Rounds to bfloat16, up or down at random.

    The nearer of the two neighbours is the likelier one, so that the expected
    result is the value itself. Changes that are too small for bfloat16 then
    add up in the mean over many steps, where rounding to the nearest would
    drop every one of them.

    Args:
        value: Float tensor.
        keys: List of ints or int scalar tensors, see `counter_uniform`.

    Returns:
        bfloat16 tensor of the same shape.

    Example:

    >>> ones = keras.ops.full((1000,), 1.001)
    >>> rounded = keras_l2o.numerics.round_at_random(ones, [0])
    >>> f"{float(keras.ops.mean(keras.ops.cast(rounded, 'float32'))):.3f}"
    '1.001'
    """
    shape = tuple(value.shape)
    uniform = counter_uniform(keys, math.prod(shape))
    noise = ops.cast(ops.reshape(uniform, shape) * 2.0**16, "int32")
    bits = ops.view(ops.cast(value, "float32"), "int32") + noise
    upper = ops.bitwise_and(bits, -(2**16))
    return ops.cast(ops.view(upper, "float32"), "bfloat16")


def _mix(bits):
    """Wellons' integer hash `lowbias32`, on int32 that wraps around."""
    bits = ops.bitwise_xor(bits, _shift(bits, 16)) * 0x7FEB352D
    bits = ops.bitwise_xor(bits, _shift(bits, 15)) * (0x846CA68B - 2**32)
    return ops.bitwise_xor(bits, _shift(bits, 16))


def _shift(bits, places):
    """Right shift that fills with zeros; of int32 it would repeat the sign."""
    mask = 2 ** (32 - places) - 1
    return ops.bitwise_and(ops.right_shift(bits, places), mask)
