"""Where the state lies: the fast form beside the plain one, and bfloat16."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_l2o
from keras_l2o import backend
from keras_l2o import flat_state
from keras_l2o import numerics
from keras_l2o import optimizer_state
from keras_l2o import packing
from keras_l2o import policies
from tests.learned_optimizer.helpers import fit
from tests.learned_optimizer.helpers import rnnprop
from tests.learned_optimizer.helpers import weights

pytestmark = pytest.mark.backend

POLICIES = {
    "sgd": lambda: policies.SGD(0.1),
    "adam": lambda: policies.Adam(0.05),
    "rnnprop": lambda: policies.RNNProp(units=(4, 3)),
    "feature_mlp": lambda: policies.FeatureMLP(),
}


def make(name, **options):
    keras.utils.set_random_seed(2)
    return keras_l2o.LearnedOptimizer(POLICIES[name](), **options)


@pytest.fixture(params=["one chunk", "many chunks"])
def chunks(request, monkeypatch):
    if request.param == "many chunks":
        # `network` has 53 coordinates.
        monkeypatch.setattr(flat_state, "cut", lambda *_: (4, 14))


@pytest.fixture
def plain(monkeypatch):
    """Makes optimizers that keep each variable's state on its own."""

    def switch():
        monkeypatch.setattr(
            optimizer_state, "FlatState", optimizer_state.TensorState
        )

    return switch


def leaves(optimizer):
    return [
        ops.convert_to_numpy(leaf)
        for leaf in keras.tree.flatten(optimizer.policy_state)
    ]


@pytest.mark.parametrize(
    ("chunks", "warmup_steps"),
    [("one chunk", 0), ("many chunks", 3)],
    indirect=["chunks"],
)
@pytest.mark.parametrize("name", POLICIES)
def test_flat_state_does_what_a_state_by_variable_does(
    name, warmup_steps, chunks, plain
):
    fast = make(name, warmup_steps=warmup_steps)
    fast_model = fit(fast)
    plain()
    slow = make(name, warmup_steps=warmup_steps)
    slow_model = fit(slow)
    np.testing.assert_allclose(
        weights(fast_model), weights(slow_model), 1e-4, 1e-6
    )
    ours, theirs = leaves(fast), leaves(slow)
    assert [leaf.shape for leaf in ours] == [leaf.shape for leaf in theirs]
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, 1e-3, 1e-6)


@pytest.mark.parametrize("name", POLICIES)
def test_state_waits_where_there_is_no_gradient(name, chunks, plain):
    def train():
        optimizer = make(name)
        variables = [
            keras.Variable(np.linspace(-1, 1, size).astype("float32"))
            for size in (20, 3, 30)
        ]
        optimizer.build(variables)
        first, _, last = [0.1 * ops.ones(v.shape) for v in variables]
        middle = ops.ones((3,))
        optimizer.apply([first, middle, last], variables)
        optimizer.apply([last, first], [variables[2], variables[0]])
        optimizer.apply([first, middle, last], variables)
        values = [ops.convert_to_numpy(v) for v in variables]
        return values, leaves(optimizer)

    fast = train()
    plain()
    slow = train()
    for a, b in zip([*fast[0], *fast[1]], [*slow[0], *slow[1]]):
        np.testing.assert_allclose(a, b, 1e-4, 1e-6)


def test_chunks_cover_every_size_and_are_few_or_of_bounded_width():
    for floats in (0, 1, 4, 82):
        width = packing.CHUNK_FLOATS // (floats + 8)
        for size in (1, 1000, width, 3 * width, 3 * width + 1, 10**7 + 7):
            chunks, cut = packing.cut(size, floats)
            assert chunks * cut >= size
            assert chunks == 1 or cut <= width + 64
            assert (chunks - 1) * cut < size
            assert cut <= packing.FEW * width


def test_an_accelerator_runs_large_models_in_few_chunks(monkeypatch):
    on_processor, _ = packing.cut(25 * 10**6, 4)
    monkeypatch.setattr(backend, "on_processor", lambda: False)
    assert packing.cut(125 * 10**6, 4) == (1, 125 * 10**6)
    assert on_processor > 100
    # RNNProp's network would need memory for all coordinates at once.
    chunks, width = packing.cut(25 * 10**6, 82)
    assert 1 < chunks < 10
    assert (chunks - 1) * width < 25 * 10**6 <= chunks * width


def test_bfloat16_state_takes_half_and_trains_as_well():
    whole, half = rnnprop(), rnnprop(state_dtype="bfloat16")
    adam_whole = keras_l2o.LearnedOptimizer(policies.Adam(0.05))
    adam_half = keras_l2o.LearnedOptimizer(
        policies.Adam(0.05), state_dtype="bfloat16"
    )
    for a, b in ((whole, half), (adam_whole, adam_half)):
        reference, rounded = fit(a), fit(b)
        np.testing.assert_allclose(
            weights(rounded), weights(reference), 0.05, 0.02
        )
        assert (weights(rounded) != weights(reference)).any()
        assert state_bytes(b) * 2 == state_bytes(a)
    config = half.get_config()
    again = keras_l2o.LearnedOptimizer.from_config(config)
    assert again.state_dtype == "bfloat16"


def state_bytes(optimizer):
    sizes = {"float32": 4, "bfloat16": 2, "int32": 0}
    return sum(
        sizes[keras.backend.standardize_dtype(v.dtype)] * np.prod(v.shape)
        for v in optimizer.variables
        if "policy_state" in v.path
    )


def test_an_average_in_bfloat16_still_moves():
    # Rounded to the nearest, an average at 0.999 never leaves where a step is
    # less than half of what bfloat16 tells apart.
    optimizer = keras_l2o.LearnedOptimizer(
        policies.RMSprop(0.0, rho=0.999), state_dtype="bfloat16"
    )
    variable = keras.Variable(np.zeros(4096, "float32"))
    optimizer.build([variable])
    for _ in range(30):
        optimizer.apply([ops.ones((4096,))], [variable])
    for _ in range(30):
        optimizer.apply([2.0 * ops.ones((4096,))], [variable])
    expected = 0.0
    for square in [1.0] * 30 + [4.0] * 30:
        expected = 0.999 * expected + 0.001 * square
    (second,) = optimizer.policy_state.tensors[0]
    second = ops.convert_to_numpy(second)
    assert abs(second.mean() / expected - 1.0) < 0.01
    assert second.std() < 0.1 * expected


def test_rounding_at_random_is_right_in_the_mean():
    values = np.array([1.0, 1.001, -3.3, 1e-20, 7e30, 0.0, np.inf], "float32")
    many = ops.convert_to_tensor(np.repeat(values[:, None], 20_000, axis=1))
    rounded = numerics.round_at_random(many, [3])
    assert keras.backend.standardize_dtype(rounded.dtype) == "bfloat16"
    rounded = ops.convert_to_numpy(ops.cast(rounded, "float32"))
    assert np.isinf(rounded[-1]).all()
    assert all(len(np.unique(row)) <= 2 for row in rounded)
    mean = rounded[:-1].astype("float64").mean(axis=1)
    np.testing.assert_allclose(mean, values[:-1], 1e-4)


def test_a_wrong_state_dtype_is_named():
    with pytest.raises(ValueError, match="state_dtype"):
        rnnprop(state_dtype="float8")


@pytest.mark.parametrize("form", ["flat", "by variable"])
def test_no_two_averages_are_rounded_by_the_same_noise(form, plain, chunks):
    if form == "by variable":
        plain()
    optimizer = keras_l2o.LearnedOptimizer(
        policies.FeatureMLP(), state_dtype="bfloat16"
    )
    shape = (4, 4)
    variables = [keras.Variable(np.zeros(shape, "float32")) for _ in range(2)]
    optimizer.build(variables)
    gradient = ops.full(shape, 1.0 + 2.0**-8)  # between two of bfloat16's
    optimizer.apply([gradient, gradient], variables)
    averages = [leaf for leaf in leaves(optimizer) if leaf.shape == shape]
    assert len(averages) == 8
    up = [(leaf > leaf.mean()).tobytes() for leaf in averages]
    assert len(set(up)) == len(up)
