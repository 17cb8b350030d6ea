import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import policies
from keras_l2o.policies.orthogonal import each_orthogonalized
from keras_l2o.policies.orthogonal import matrix_shape
from keras_l2o.policies.orthogonal import orthogonalized

pytestmark = pytest.mark.backend

SHAPES = [(6, 4), (4,), (4, 6), (3, 3, 2, 5), (), (5, 1), (7, 7)]


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for shape in SHAPES]


def each(arrays):
    parts = [ops.convert_to_tensor(array.reshape(-1)) for array in arrays]
    shapes = [array.shape for array in arrays]
    found = each_orthogonalized(parts, shapes, 1e-16)
    return [
        ops.convert_to_numpy(part).reshape(shape)
        for part, shape in zip(found, shapes)
    ]


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e6])
def test_singular_values_are_near_one_and_vectors_as_before(size):
    arrays = [size * array for array in drawn()]
    for array, found in zip(arrays, each(arrays)):
        shape = matrix_shape(array.shape)
        if shape is None:
            assert not found.any()
            continue
        matrix = array.reshape(shape)
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        turned = left.T @ found.reshape(shape) @ right.T / np.sqrt(max(shape))
        np.testing.assert_allclose(turned, np.diag(np.diag(turned)), atol=2e-3)
        large = values > 0.05 * np.linalg.norm(values)
        assert (np.abs(np.diag(turned)[large] - 0.95) < 0.3).all()


def test_it_is_the_iteration_of_keras():
    muon = keras.optimizers.Muon()
    for array in drawn():
        shape = matrix_shape(array.shape)
        if shape is None:
            continue
        expected = muon.zeropower_via_newtonschulz5(
            ops.convert_to_tensor(array.reshape(shape)), 5
        )
        np.testing.assert_allclose(
            each([array])[0].reshape(shape) / np.sqrt(max(shape)),
            ops.convert_to_numpy(expected),
            rtol=2e-3,
            atol=2e-4,
        )


def test_tensors_of_one_size_do_not_mix():
    together = each(drawn())
    for array, found in zip(drawn(), together):
        np.testing.assert_allclose(
            each([array])[0], found, rtol=1e-4, atol=1e-5
        )


def test_rows_of_zeros_stay_zero_and_zeros_have_a_slope():
    matrix = drawn()[0]
    matrix[2] = 0.0
    assert not each([matrix])[0][2].any()
    zeros = ops.zeros((2, 3))
    assert not ops.convert_to_numpy(orthogonalized(zeros, 1e-16)).any()


def test_a_share_of_a_matrix_takes_the_place_of_its_direction():
    rng = np.random.default_rng(3)
    gradient = rng.normal(size=(4, 5)).astype("float32")
    bias = rng.normal(size=4).astype("float32")
    tensors = [ops.convert_to_tensor(array) for array in (gradient, bias)]
    found = []
    for odds in (-100.0, 100.0, 0.0):
        policy = policies.General(orthogonal=True)
        policy.build()
        linear = ops.convert_to_numpy(policy.rates.linear).copy()
        linear[:, 1:] = 0.0
        linear[0, 1:] = -100.0, odds
        policy.rates.linear.assign(linear)
        updates, _ = policy.update(
            tensors, tensors, policy.initial_state(tensors)
        )
        found.append([ops.convert_to_numpy(update) for update in updates])
    none, whole, half = found
    np.testing.assert_allclose(
        half[0], 0.5 * (none[0] + whole[0]), rtol=1e-4, atol=1e-7
    )
    # At the first step all momenta are the gradient.
    np.testing.assert_allclose(np.sign(none[0]), np.sign(gradient))
    matrix = each([gradient])[0]
    ratio = whole[0] / matrix
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-3)
    for one in (whole, half):
        np.testing.assert_array_equal(one[1], none[1])
