import copy

import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o.perturbations import Gaussian
from keras_l2o.perturbations import InputNoise
from keras_l2o.perturbations import PersistentGaussian
from keras_l2o.perturbations import RelativeGaussian
from tests.perturbations.helpers import losses_at_rest

pytestmark = pytest.mark.backend


def test_noise_has_the_magnitude_and_is_drawn_anew_at_every_inner_step():
    noise = Gaussian(0.01, seed=1)
    noise.build()
    (offsets,) = noise.offsets([ops.zeros((50, 20))], 30)
    offsets = ops.convert_to_numpy(offsets)
    assert offsets.shape == (30, 50, 20)
    assert offsets.std() == pytest.approx(0.01, rel=0.02)
    assert abs(np.corrcoef(offsets[0].ravel(), offsets[1].ravel())[0, 1]) < 0.1
    (again,) = noise.offsets([ops.zeros((50, 20))], 30)
    assert (ops.convert_to_numpy(again) != offsets).any()


def test_relative_noise_follows_each_tensors_root_mean_square():
    noise = RelativeGaussian(0.1, seed=1)
    noise.build()
    weight = np.random.default_rng(0).normal(size=(50, 20)) * 3.0
    large, none = noise.offsets(
        [ops.convert_to_tensor(weight.astype("float32")), ops.zeros((5,))], 30
    )
    expected = 0.1 * np.sqrt(np.mean(weight**2))
    large = ops.convert_to_numpy(large)
    assert large.std() == pytest.approx(expected, rel=0.02)
    assert (large[0] != large[1]).all()
    np.testing.assert_array_equal(ops.convert_to_numpy(none), 0.0)


def test_relative_noise_follows_weights_whose_squares_are_zero():
    noise = RelativeGaussian(0.1, seed=1)
    noise.build()
    (offsets,) = noise.offsets([ops.full((50, 20), 1e-24)], 30)
    offsets = ops.convert_to_numpy(offsets).astype("float64")
    assert offsets.std() == pytest.approx(1e-25, rel=0.02)


def test_persistent_noise_is_one_draw_for_the_whole_unroll():
    noise = PersistentGaussian(0.01, seed=1)
    noise.build()
    (offsets,) = noise.offsets([ops.zeros((50, 20))], 3)
    offsets = ops.convert_to_numpy(offsets)
    assert offsets[0].std() == pytest.approx(0.01, rel=0.1)
    np.testing.assert_array_equal(offsets[0], offsets[2])
    (again,) = noise.offsets([ops.zeros((50, 20))], 3)
    assert (ops.convert_to_numpy(again) != offsets).any()


def test_input_noise_is_drawn_for_every_task_step_and_coordinate():
    noise = InputNoise(0.1, seed=1)
    noise.build()
    drawn = ops.convert_to_numpy(noise.gradient_noise((2, 5, 400), "float32"))
    assert drawn.std() == pytest.approx(0.1, rel=0.05)
    assert len(np.unique(drawn)) > 0.99 * drawn.size


def test_a_new_magnitude_counts_at_the_next_step_without_a_retrace(
    tiny_problem,
):
    noise = copy.deepcopy(Gaussian(0.0, seed=1))  # as a tuner makes one

    class Raise(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                noise.magnitude = 0.5

    disturbed = losses_at_rest(tiny_problem, [noise], 2, [Raise()])
    plain = losses_at_rest(tiny_problem, [], 2)
    assert disturbed[0] == pytest.approx(plain[0], rel=1e-6)
    assert disturbed[1] != pytest.approx(plain[1], rel=1e-6)


def test_a_negative_magnitude_is_named():
    with pytest.raises(ValueError, match="`magnitude` must be"):
        Gaussian(-1.0)
