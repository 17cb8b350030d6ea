"""Functions whose value and gradient stay finite where training passes.

Whatever the outer loop differentiates goes through here: a square root has
an infinite slope at zero and a logarithm an infinite value, and both zeros
are ordinary events (a dead unit's gradient, a student that still stands where
its teacher stands).
"""

import math

import keras
import ml_dtypes
from keras import ops


def inverse_root(value, epsilon):
    """Returns `1 / sqrt(value + epsilon)`: the epsilon is inside the root.

    Args:
        value: Tensor of non-negative numbers.
        epsilon: Float, positive. Bounds the result by `epsilon ** -0.5`.
    """
    return ops.rsqrt(value + epsilon)


def safe_log(value, floor=1e-30):
    """Logarithm of `max(value, floor)`, with gradient zero below the floor.

    Args:
        value: Tensor of non-negative numbers.
        floor: Float, positive. Numbers below it count as the floor. Defaults
            to `1e-30`, a distance that float32 still holds.
    """
    above = value > floor
    # The value is replaced before the logarithm and not only after it:
    # the gradient of a branch that is not taken is `0 * inf`, a NaN.
    safe = ops.where(above, value, ops.ones_like(value))
    return ops.where(above, ops.log(safe), ops.log(ops.full_like(value, floor)))


def bias_correction(decay, step, kind):
    """Divisor that corrects a decayed average for its start at zero.

    Args:
        decay: Float in `[0, 1)`. The average's decay.
        step: Float tensor. Number of gradients averaged so far, from 1.
        kind: `"paper"`, `1 - decay ** step` (Kingma and Ba, 2015);
            `"constant"`, `1 - decay`, as the 2021 code of Optimizer
            Amalgamation has it; or `None`, no correction.
    """
    if kind is None:
        return ops.ones_like(step)
    if kind == "constant":
        return ops.ones_like(step) * (1.0 - decay)
    return 1.0 - ops.power(ops.cast(decay, step.dtype), step)


def all_finite(tensors):
    """Boolean scalar: whether every number in a nest of tensors is finite."""
    flags = [
        ops.all(ops.isfinite(tensor))
        for tensor in keras.tree.flatten(tensors)
        if keras.backend.is_float_dtype(
            keras.backend.standardize_dtype(tensor.dtype)
        )
    ]
    return ops.all(ops.stack(flags)) if flags else ops.convert_to_tensor(True)


def norm(tensor, axis=None):
    """Euclidean norm, also where squares leave the range of the type.

    In float32 the square of 1e-24 is zero and that of 1e20 infinite. Not for
    what is differentiated: at a zero tensor the slope is not finite.

    Args:
        tensor: Tensor.
        axis: Tuple of ints, the axes to sum over; they stay, of size 1.
            `None`, the default, sums over all and returns a scalar.
    """
    scale = _scale(tensor, axis)
    length = scale * _root_of_squares(tensor / scale, axis)
    return ops.reshape(length, ()) if axis is None else length


def within_norm(tensor, bound, axis=None):
    """The tensor, scaled down to the bound where its norm is above it.

    Args:
        tensor: Tensor.
        bound: Scalar, or tensor that spreads over `tensor`.
        axis: As in `norm`.
    """
    above = norm(tensor, axis) > bound
    return ops.where(above, of_norm(tensor, bound, axis), tensor)


def of_norm(tensor, length, axis=None):
    """The tensor, scaled to a norm; zeros, if it is zero.

    Args:
        tensor: Tensor.
        length: Scalar, or tensor that spreads over `tensor`.
        axis: As in `norm`.
    """
    scaled = tensor / _scale(tensor, axis)
    # The largest of these numbers is at least 1, and so is the root.
    return scaled * (length / ops.maximum(_root_of_squares(scaled, axis), 1.0))


def _scale(tensor, axis):
    """The power of two below the largest number; 1 where all are zero.

    A power of two, so that nothing is rounded where squares are in range.
    """
    size = ops.max(ops.abs(tensor), axis=axis, keepdims=True)
    bits = ops.view(ops.cast(size, "float32"), "int32")
    power = ops.view(ops.bitwise_and(bits, 0x7F800000), "float32")
    # What is less than a normal float32 counts as zero: devices differ.
    power = ops.where(power > 1e-37, power, ops.ones_like(power))
    return ops.cast(power, tensor.dtype)


def _root_of_squares(tensor, axis):
    return ops.sqrt(ops.sum(ops.square(tensor), axis=axis, keepdims=True))


def select(condition, chosen, otherwise):
    """Picks one of two nests of tensors by a boolean scalar.

    Args:
        condition: Boolean scalar tensor.
        chosen: Nest of tensors, taken where the condition holds.
        otherwise: Nest of the same structure and shapes.
    """
    return keras.tree.map_structure(
        lambda a, b: ops.where(condition, a, b), chosen, otherwise
    )


def root_of_largest(dtype):
    """A power of two whose square a type holds, with a factor to spare."""
    return 2.0 ** (ml_dtypes.finfo(dtype).maxexp // 2 - 1)


def counter_uniform(keys, count):
    """Numbers in (0, 1) that depend on keys and position alone.

    Noise for places where the state of a generator cannot live, such as the
    body of a scan: the same keys give the same numbers on every backend.

    Args:
        keys: List of int scalars, tensors or not: a seed, a step, ...
        count: Int. How many numbers.

    Returns:
        float32 tensor `(count,)`.
    """
    key = ops.full((), 0x3C6EF372, "int32")
    for part in keys:
        key = _mix(ops.bitwise_xor(key, ops.cast(part, "int32")))
    # Two rounds with two keys: with one, two streams would be one stream in
    # two orders as soon as their keys differ in the low bits alone.
    bits = _mix(ops.arange(count, dtype="int32") + key)
    bits = _mix(ops.bitwise_xor(bits, _mix(key + 0x1E3779B9)))
    # 23 bits and a half, exact in float32: never 0, never 1.
    return (ops.cast(_shift(bits, 9), "float32") + 0.5) * 2.0**-23


def round_at_random(value, keys):
    """Rounds float32 to what bfloat16 can hold, up or down at random.

    The nearer of the two neighbours is the likelier, and the mean is the
    value: a sum of many small changes keeps them.

    Args:
        value: Tensor, as float32.
        keys: As in `counter_uniform`.

    Returns:
        bfloat16 tensor.
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
    """Logical right shift; that of a signed type repeats the sign."""
    mask = 2 ** (32 - places) - 1
    return ops.bitwise_and(ops.right_shift(bits, places), mask)
