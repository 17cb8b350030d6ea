import math

import numpy as np
import pytest
from keras import ops

from keras_l2o.policies import blocks
from keras_l2o.policies.rows import Rows

pytestmark = pytest.mark.backend

SHAPES = [(), (5,), (1024,), (2, 1024), (65, 1030), (0, 3), (3, 1)]


def drawn(shapes, features=()):
    rng = np.random.default_rng(5)
    return [
        rng.normal(size=(*features, *shape)).astype("float32")
        for shape in shapes
    ]


@pytest.mark.parametrize("features", [(), (2,)])
def test_a_row_is_cut_where_it_was_joined(features):
    arrays = drawn(SHAPES, features)
    layout = blocks.Blocks(SHAPES)
    tensors = [ops.convert_to_tensor(array) for array in arrays]
    row = layout.join(tensors, len(features))
    assert row.shape[-1] % blocks.BLOCK == 0
    total = sum(np.abs(array).sum() for array in arrays)
    np.testing.assert_allclose(ops.sum(ops.abs(row)), total, rtol=1e-5)
    for part, array in zip(layout.cut(row), arrays):
        flat = array.reshape((*features, -1)) if array.size else array.ravel()
        np.testing.assert_array_equal(
            ops.convert_to_numpy(part).ravel(), flat.ravel()
        )


@pytest.mark.parametrize("width", [2, 64])
def test_means_and_sums_are_those_of_the_plain_form(width, monkeypatch):
    monkeypatch.setattr(blocks, "WIDTH", width)
    blocks._levels.cache_clear()
    shapes = [shape for shape in SHAPES if math.prod(shape)]
    arrays = drawn(shapes)
    tensors = [ops.convert_to_tensor(array) for array in arrays]
    factors = ops.convert_to_tensor(
        np.arange(1.0, 1.0 + len(shapes)), "float32"
    )
    found = []
    for layout in (blocks.Blocks(shapes), Rows(shapes)):
        row = layout.join(tensors)
        means = layout.means([row, ops.square(row)])
        parts = layout.combined((factors, row), (1.0 / factors, row * row))
        found.append([ops.convert_to_numpy(x) for x in (*means, *parts)])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    blocks._levels.cache_clear()


def test_a_tensor_without_coordinates_has_a_mean_of_zero():
    layout = blocks.Blocks([(0, 3), (2,)])
    row = layout.join([ops.zeros((0, 3)), ops.ones((2,))])
    (means,) = layout.means([row])
    np.testing.assert_array_equal(ops.convert_to_numpy(means), [0.0, 1.0])
