"""What a scan computes again for the gradient, and what it keeps."""

import keras
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("JAX alone rematerializes", allow_module_level=True)

import jax
import jax.numpy as jnp

from keras_l2o import backend

pytestmark = pytest.mark.backend

WIDTH = 50


def gradient(keep):
    """Of a scan in which a student is led by an expensive teacher.

    Returns:
        The gradient, and the operations of one step of it and of the scan.
    """
    weights = jax.random.normal(jax.random.key(0), (WIDTH, WIDTH)) / 7.0
    start = (jnp.ones((WIDTH, WIDTH)), jnp.ones((WIDTH, WIDTH)))

    def loss(rate):
        def body(carry, inputs):
            student, teacher = carry
            teacher = jnp.tanh(weights @ jnp.tanh(weights @ teacher))
            teacher = jax.lax.stop_gradient(teacher)
            if keep:
                teacher = backend.kept(teacher)
            student = student - jnp.sin(rate * student)
            return (student, teacher), jnp.sum((student - teacher) ** 2)

        return jnp.sum(backend.scan(body, start, None, 5, True)[1])

    compiled = jax.jit(jax.grad(loss)).lower(0.1).compile()
    return compiled(0.1), compiled.cost_analysis()["flops"]


def test_what_is_kept_is_not_computed_again():
    plain, twice = gradient(keep=False)
    kept, once = gradient(keep=True)
    assert plain == kept
    products = 2 * (2 * WIDTH**3)
    assert twice - once == pytest.approx(products, rel=0.1)
