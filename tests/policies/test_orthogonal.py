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


def test_untrained_nothing_of_it_is_used():
    arrays = [np.ones((3, 4), "float32"), np.ones(3, "float32")]
    tensors = [ops.convert_to_tensor(array) for array in arrays]
    updates = []
    for orthogonal in (False, True):
        policy = policies.General(orthogonal=orthogonal)
        policy.build()
        found, _ = policy.update(
            tensors, tensors, policy.initial_state(tensors)
        )
        updates.append([ops.convert_to_numpy(update) for update in found])
    for one, other in zip(*updates):
        np.testing.assert_array_equal(one, other)


def test_the_share_of_a_matrix_is_added_to_its_direction():
    rng = np.random.default_rng(3)
    gradient = rng.normal(size=(4, 5)).astype("float32")
    bias = rng.normal(size=4).astype("float32")
    tensors = [ops.convert_to_tensor(array) for array in (gradient, bias)]
    policy = policies.General(0.01, orthogonal=True)
    policy.build()
    policy.rate_readout.bias.assign([0.0, 0.5])
    found, _ = policy.update(tensors, tensors, policy.initial_state(tensors))
    found = [ops.convert_to_numpy(update) for update in found]
    expected = np.sign(gradient) + 0.5 * each([gradient])[0]
    np.testing.assert_allclose(found[0], 0.01 * expected, rtol=1e-4)
    np.testing.assert_allclose(found[1], 0.01 * np.sign(bias), rtol=1e-4)
