import keras
import numpy as np
import pytest

import keras_l2o


@pytest.mark.backend
@pytest.mark.usefixtures("few_steps")
def test_an_optimizer_that_scales_the_loss_trains_as_without():
    sgd = keras.optimizers.SGD
    options = {"examples": 64, "batch_size": 32, "repeat": 2, "epochs": 1}
    losses = [
        keras_l2o.evaluate(form, "digits_mlp", **options)["validation_loss"]
        for form in (
            sgd(0.1),
            sgd(0.1, loss_scale_factor=64),
            keras.optimizers.LossScaleOptimizer(sgd(0.1)),
        )
    ]
    np.testing.assert_allclose(losses[1:], [losses[0]] * 2, 1e-5)
