import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o import backend
from keras_l2o import numerics

pytestmark = [pytest.mark.backend, pytest.mark.quick]


def gradient(function, value):
    (_, _), (result,) = backend.value_and_grad(
        lambda variables: (ops.sum(function(variables[0])), ())
    )([ops.convert_to_tensor(np.asarray(value, "float32"))])
    return ops.convert_to_numpy(ops.stop_gradient(result))


@pytest.mark.parametrize("size", [1e-35, 1e-24, 1e-3, 1.0, 1e20, 1e37])
def test_a_norm_is_right_where_its_squares_are_zero_or_infinite(size):
    values = np.array([[3.0, 0.0], [-4.0, 0.0]]) * size
    tensor = ops.convert_to_tensor(values.astype("float32"))
    np.testing.assert_allclose(float(numerics.norm(tensor)), 5 * size, 1e-6)
    np.testing.assert_allclose(
        numerics.norm(tensor, (0,)), [[5 * size, 0.0]], 1e-6
    )
    for bounded in (numerics.within_norm, numerics.of_norm):
        np.testing.assert_allclose(
            bounded(tensor, 0.1 * size), values / 50, 1e-6
        )
    np.testing.assert_array_equal(
        numerics.within_norm(tensor, 10 * size), tensor
    )


def test_in_range_a_norm_is_the_plain_one_to_the_bit():
    values = np.random.default_rng(0).normal(size=100).astype("float32")
    tensor = ops.convert_to_tensor(values)
    plain = ops.sqrt(ops.sum(ops.square(tensor)))
    assert float(numerics.norm(tensor)) == float(plain)
    np.testing.assert_array_equal(
        numerics.within_norm(tensor, 0.3), tensor * (0.3 / plain)
    )


def test_a_zero_tensor_has_no_direction():
    zeros = ops.zeros((3,))
    assert float(numerics.norm(zeros)) == 0.0
    np.testing.assert_array_equal(numerics.of_norm(zeros, 1.0), np.zeros(3))


def test_safe_log_is_the_logarithm_above_the_floor():
    values = np.array([1e-20, 1e-3, 1.0, 50.0], "float32")
    np.testing.assert_allclose(
        numerics.safe_log(ops.convert_to_tensor(values)), np.log(values), 1e-6
    )
    np.testing.assert_allclose(
        gradient(numerics.safe_log, values), 1 / values, 1e-6
    )


def test_safe_log_of_zero_has_gradient_zero():
    assert np.isfinite(float(numerics.safe_log(ops.zeros(()))))
    assert gradient(numerics.safe_log, [0.0]) == 0.0


def test_inverse_root_is_finite_with_its_gradient_at_zero():
    value = gradient(lambda x: numerics.inverse_root(x, 1e-10), [0.0])
    assert np.isfinite(value).all()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("paper", 1 - 0.9**3), ("constant", 0.1), (None, 1.0)],
)
def test_bias_correction_of_each_kind(kind, expected):
    step = ops.convert_to_tensor(3.0)
    result = numerics.bias_correction(0.9, step, kind)
    np.testing.assert_allclose(ops.convert_to_numpy(result), expected, 1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_all_finite_finds_one_bad_number_in_a_nest(bad):
    good = {
        "a": ops.ones((2,)),
        "b": (ops.zeros((3, 2)), ops.ones((), "int32")),
    }
    assert bool(numerics.all_finite(good))
    spoilt = np.zeros((3, 2), "float32")
    spoilt[1, 1] = bad
    good["b"] = (ops.convert_to_tensor(spoilt),)
    assert not bool(numerics.all_finite(good))


def test_select_takes_one_nest_even_where_the_other_is_not_finite():
    chosen = numerics.select(
        ops.convert_to_tensor(True),
        (ops.ones((2,)),),
        (ops.full((2,), float("nan")),),
    )
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(chosen[0]), [1.0, 1.0]
    )


def uniforms(keys, count=4096):
    return ops.convert_to_numpy(numerics.counter_uniform(keys, count))


def reference_uniforms(keys, count):
    """The same hash on NumPy's unsigned integers."""

    def mix(bits):
        bits = (bits ^ (bits >> 16)) * np.uint32(0x7FEB352D)
        bits = (bits ^ (bits >> 15)) * np.uint32(0x846CA68B)
        return bits ^ (bits >> 16)

    key = np.full((1,), 0x3C6EF372, "uint32")
    for part in keys:
        key = mix(key ^ np.array([part], "int32").view("uint32"))
    bits = mix(np.arange(count, dtype="uint32") + key)
    bits = mix(bits ^ mix(key + np.uint32(0x1E3779B9)))
    return ((bits >> 9) + 0.5) / 2**23


@pytest.mark.parametrize("keys", [[0, 0], [1, 2, 3], [-7, 2**31 - 1]])
def test_counter_uniform_is_the_same_on_every_backend(keys):
    np.testing.assert_array_equal(
        uniforms(keys, 100), reference_uniforms(keys, 100).astype("float32")
    )


@pytest.mark.parametrize("keys", [[0, 0], [0, 1], [5, 1000]])
def test_counter_uniform_is_uniform_and_without_order(keys):
    values = uniforms(keys)
    assert values.min() > 0.0
    assert values.max() < 1.0
    counts, _ = np.histogram(values, 16, (0.0, 1.0))
    assert np.sum((counts - 256) ** 2 / 256) < 37.7  # chi-square, 0.1 percent
    for lag in (1, 2, 64):
        pairs = np.corrcoef(values[lag:], values[:-lag])[0, 1]
        assert abs(pairs) < 0.055  # 3.5 sigma


def test_counter_uniform_of_other_keys_is_independent():
    streams = [uniforms([seed, step]) for seed in (0, 1) for step in range(8)]
    correlations = np.corrcoef(np.stack(streams)) - np.eye(16)
    assert np.abs(correlations).max() < 0.07
    # Not the same numbers in another order either.
    assert len(np.unique(np.stack(streams))) > 0.99 * 16 * 4096


def test_counter_uniform_takes_tensors_for_keys():
    step = ops.convert_to_tensor(3, "int32")
    np.testing.assert_array_equal(uniforms([0, step]), uniforms([0, 3]))
