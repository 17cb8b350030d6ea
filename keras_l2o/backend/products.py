"""Convolutions as matrix products, for JAX on a processor.

There the compiler's convolutions are slow in three ways that meet in
meta-training: differentiated twice, over small images, and with a kernel for
each task, which `vmap` turns into a grouped convolution. As products of the
kernel and of patches of the image they are as fast as products are. Max
pooling, whose gradient scatters, becomes a maximum over axes.
"""

import itertools
import math

import jax
import jax.numpy as jnp
from jax.extend import core

from keras_l2o.backend import jax_internals


def with_products(function):
    """The same function, with products in place of its convolutions.

    Convolutions without groups and without a dilated input, of any rank,
    stride, padding and layout, become products; max pooling without padding
    and without an overlap becomes a maximum. Of equal values in a window, the
    first has the gradient in pooling, and all share it in a maximum. All else
    stays as it is, so do loops and branches with what is in them.
    """

    def rewritten(*args):
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        outputs = _evaluate(closed, jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), outputs)

    return rewritten


def _evaluate(closed, arguments):
    values = {}

    def read(variable):
        if isinstance(variable, core.Literal):
            return variable.val
        return values[variable]

    jaxpr = closed.jaxpr
    values.update(zip(jaxpr.constvars, closed.consts))
    values.update(zip(jaxpr.invars, arguments))
    for equation in jaxpr.eqns:
        inputs = [read(variable) for variable in equation.invars]
        called = jax_internals.called(equation)
        convolution = jax_internals.convolution(equation)
        maximum = jax_internals.maximum(equation)
        if called is not None:
            outputs = _evaluate(called, inputs)
        elif convolution is not None and _is_plain(convolution):
            outputs = [_convolution(*inputs, convolution)]
        elif maximum is not None and _tiles(maximum):
            outputs = [_maximum(*inputs, maximum.window_dimensions)]
        else:
            outputs = jax_internals.run(equation, inputs)
        values.update(zip(equation.outvars, outputs))
    return [read(variable) for variable in jaxpr.outvars]


def _is_plain(params):
    return (
        params.feature_group_count == params.batch_group_count == 1
        and math.prod(params.lhs_dilation) == 1
    )


def _convolution(image, kernel, params):
    of_image, of_kernel, of_output = params.dimension_numbers
    # The axes' orders come as (batch, feature, *space), (out, in, *space).
    image = image.transpose(of_image[0], *of_image[2:], of_image[1])
    kernel = kernel.transpose(*of_kernel[2:], of_kernel[1], of_kernel[0])
    zero = jnp.zeros((), image.dtype)
    padding = [(low, high, 0) for low, high in params.padding]
    image = jax.lax.pad(image, zero, [(0, 0, 0), *padding, (0, 0, 0)])
    *window, channels, filters = kernel.shape
    strides, dilation = params.window_strides, params.rhs_dilation
    space = [
        (size - (width - 1) * step - 1) // stride + 1
        for size, width, step, stride in zip(
            image.shape[1:-1], window, dilation, strides
        )
    ]
    patches = [
        image[
            (
                slice(None),
                *(
                    slice(
                        at * step, at * step + (left - 1) * stride + 1, stride
                    )
                    for at, step, left, stride in zip(
                        offset, dilation, space, strides
                    )
                ),
            )
        ]
        for offset in itertools.product(*map(range, window))
    ]
    output = jax.lax.dot(
        jnp.concatenate(patches, axis=-1).reshape(-1, len(patches) * channels),
        kernel.reshape(-1, filters),
        precision=params.precision,
        preferred_element_type=params.preferred_element_type,
    ).reshape(-1, *space, filters)
    order = [of_output[0], *of_output[2:], of_output[1]]
    return output.transpose([order.index(axis) for axis in range(len(order))])


def _tiles(params):
    """Whether the windows lie side by side and within the input."""
    return (
        params.window_dimensions == params.window_strides
        and not any(map(any, params.padding))
        and math.prod(params.base_dilation) == 1
        and math.prod(params.window_dilation) == 1
    )


def _maximum(image, window):
    whole = [size // width for size, width in zip(image.shape, window)]
    image = image[tuple(slice(s * w) for s, w in zip(whole, window))]
    split = image.reshape(
        [size for pair in zip(whole, window) for size in pair]
    )
    return split.max(axis=tuple(range(1, split.ndim, 2)))
