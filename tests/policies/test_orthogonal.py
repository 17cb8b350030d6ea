import keras
import ml_dtypes
import numpy as np
import pytest
from keras import ops

from keras_l2o import backend
from keras_l2o import policies
from keras_l2o.policies import orthogonal
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


def rounded(array):
    """To a bfloat16 and back."""
    return array.astype(ml_dtypes.bfloat16).astype("float32")


def test_an_accelerator_multiplies_halves(monkeypatch):
    """As far from the exact iteration as NumPy's with rounded products."""
    monkeypatch.setattr(backend, "on_processor", lambda: False)
    a, b, c = orthogonal.COEFFICIENTS
    matrix = np.random.default_rng(6).normal(size=(48, 96)).astype("float32")
    exact = coarse = matrix / np.linalg.norm(matrix)
    coarse = rounded(coarse)
    p, q, r = rounded(np.array([a, b, c], "float32"))
    for _ in range(orthogonal.ITERATIONS):
        square = exact @ exact.T
        exact = a * exact + (b * square + c * square @ square) @ exact
        square = rounded(coarse @ coarse.T)
        fourth = rounded(square @ square)
        polynomial = rounded(rounded(q * square) + rounded(r * fourth))
        coarse = rounded(rounded(p * coarse) + rounded(polynomial @ coarse))
    found = each([matrix])[0] / np.sqrt(96)
    size = np.linalg.norm(exact)
    allowed = np.linalg.norm(coarse - exact) / size
    assert 0.01 < allowed < 0.1
    assert 0.0 < np.linalg.norm(found - exact) / size < 2.0 * allowed
    # What it is for is as good as ever.
    values = np.linalg.svd(found, compute_uv=False)
    assert values.min() > 0.6
    assert values.max() < 1.25


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
