"""The outer optimizer within the outer step, beside itself outside of it."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_l2o
from keras_l2o import policies
from tests.training.helpers import trainer

pytestmark = pytest.mark.backend

OUTER = {
    "learned": lambda: keras_l2o.LearnedOptimizer(policies.Adam(1e-2)),
    "nadam": lambda: keras.optimizers.Nadam(1e-2),
    "scaled": lambda: keras.optimizers.SGD(1e-2, loss_scale_factor=64),
    "accumulating": lambda: keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(1e-2, 10),
        use_ema=True,
        ema_overwrite_frequency=2,
        gradient_accumulation_steps=2,
    ),
}


@pytest.mark.parametrize("name", sorted(OUTER))
def test_the_outer_optimizer_does_what_it_does_outside(name):
    """Beside an optimizer of the same kind that is given the gradients."""
    if keras.backend.backend() == "jax" and name == "accumulating":
        pytest.skip("Keras accumulates on JAX in compiled steps alone")
    model = trainer("quadratic_10", unroll=2, depth=1, tasks=1)
    model.compile(OUTER[name](), gradient_clipping=None)
    beside = OUTER[name]()
    copies = [keras.Variable(w) for w in model.state.weights]
    beside.build(copies)
    loop = model.outer_loop
    for step in range(3):
        data = keras.tree.map_structure(
            ops.convert_to_tensor, model.episodes.at(step)
        )
        _, (results,) = loop.estimates(model.state, data)
        gradients = [ops.mean(g, axis=0) for g in results.gradients]
        # As `keras.Model` scales the loss.
        gradients = [beside.scale_loss(g) for g in gradients]
        beside.apply([ops.stop_gradient(g) for g in gradients], copies)
        model.fit(epochs=1, steps_per_epoch=1, verbose=0, validation_data=False)
        for own, copy in zip(model.state.weights, copies):
            np.testing.assert_allclose(
                ops.convert_to_numpy(own),
                ops.convert_to_numpy(copy),
                rtol=1e-4,
                atol=1e-6,
            )


def test_an_outer_optimizer_around_a_loss_scale_is_refused():
    model = trainer("quadratic_10", unroll=2, depth=1, tasks=1)
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="inner_optimizer"):
        model.compile(scaled)
