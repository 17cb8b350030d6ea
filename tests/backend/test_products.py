"""Convolutions as products, beside JAX's own."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("it rewrites JAX's programs", allow_module_level=True)

import jax
import jax.flatten_util

from keras_l2o import backend
from keras_l2o.backend.products import with_products

pytestmark = pytest.mark.backend

layers = keras.layers


def primitives(function, *args):
    return str(jax.make_jaxpr(function)(*args))


def losses(stack, shape):
    """A model's loss of its flat weights, in both forms; and the weights."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), *stack()])
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype("float32")
    values = [v.value for v in model.trainable_variables]
    weights, unravel = jax.flatten_util.ravel_pytree(values)
    others = [v.value for v in model.non_trainable_variables]

    def loss(weights):
        output, _ = model.stateless_call(
            unravel(weights), others, x, training=True
        )
        return keras.ops.mean(keras.ops.sin(output))

    return loss, with_products(loss), weights


STACKS = {
    "plain": (lambda: [layers.Conv2D(3, 3)], (7, 6, 2)),
    "strides": (lambda: [layers.Conv2D(3, (2, 3), strides=2)], (8, 7, 2)),
    "same": (
        lambda: [layers.Conv2D(3, 4, strides=3, padding="same")],
        (8, 7, 2),
    ),
    "dilation": (lambda: [layers.Conv2D(3, 3, dilation_rate=2)], (8, 7, 2)),
    "one": (lambda: [layers.Conv1D(3, 3, padding="causal")], (9, 2)),
    "three": (lambda: [layers.Conv3D(2, 2)], (4, 5, 3, 2)),
    "pooling": (
        lambda: [
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(2),
        ],
        (7, 8, 1),
    ),
    "residual": (
        lambda: [
            layers.Conv2D(4, 3, padding="same", activation="gelu"),
            layers.BatchNormalization(),
            layers.Conv2D(4, 1),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ],
        (6, 6, 2),
    ),
}


@pytest.mark.parametrize("name", STACKS)
def test_loss_and_two_derivatives_are_those_of_the_convolution(name):
    plain, products, weights = losses(*STACKS[name])
    assert "conv_general_dilated" in primitives(plain, weights)
    text = primitives(products, weights)
    assert "conv_general_dilated" not in text
    assert "reduce_window" not in text
    direction = np.random.default_rng(1).normal(size=weights.shape)
    direction = direction.astype("float32")

    def derivatives(loss):
        gradient = jax.grad(loss)
        curved = jax.vjp(gradient, weights)[1](direction)[0]
        return loss(weights), gradient(weights), curved

    for own, reference in zip(derivatives(products), derivatives(plain)):
        np.testing.assert_allclose(own, reference, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.DepthwiseConv2D(3),
        lambda: layers.SeparableConv2D(3, 3),
        lambda: layers.Conv2D(4, 3, groups=2),
        lambda: layers.Conv2DTranspose(3, 2, strides=2),
        lambda: layers.MaxPooling2D(3, strides=2),
        lambda: layers.MaxPooling2D(3, padding="same"),
    ],
    ids=["depthwise", "separable", "groups", "transpose", "overlap", "padding"],
)
def test_what_is_not_rewritten_still_runs(layer):
    plain, products, weights = losses(
        lambda: [layers.Conv2D(2, 1), layer()], (8, 7, 2)
    )
    np.testing.assert_allclose(products(weights), plain(weights), rtol=1e-4)


def test_each_of_many_kernels_has_its_own_product():
    plain, products, weights = losses(*STACKS["pooling"])
    many = np.stack([weights, 2.0 * weights, -weights])
    own, reference = (
        jax.vmap(jax.grad(loss))(many) for loss in (products, plain)
    )
    np.testing.assert_allclose(own, reference, atol=1e-5, rtol=1e-5)


def test_optimizees_are_rewritten_on_a_processor():
    plain, _, weights = losses(*STACKS["plain"])
    rewritten = "conv_general" not in primitives(
        backend.unrolled(plain), weights
    )
    assert rewritten == (jax.default_backend() == "cpu")
