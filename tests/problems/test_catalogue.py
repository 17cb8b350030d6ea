import numpy as np
import pytest
from keras import ops

from keras_l2o import backend
from keras_l2o import problems
from keras_l2o.problems import catalogue

DATASETS = {
    "conv_fmnist": "fashion_mnist",
    "conv_kmnist": "kmnist",
    "conv_kmnist_dp": "kmnist",
    "conv_svhn": "svhn_cropped",
    "conv_train_cifar10": "cifar10",
    "conv_cifar10": "cifar10",
    "conv_cifar10_wider": "cifar10",
    "conv_cifar10_pool": "cifar10",
    "conv_nas_cifar": "cifar10",
    "resnet": "cifar10",
    "resnet_52": "cifar10",
    "resnet_52_100": "cifar100",
    "resnet_100_100": "cifar100",
    "wide_resnet": "cifar10",
    **dict.fromkeys(
        ["conv_train", "mlp_train", "conv_wider", "conv_deeper", "conv_avg",
         "conv_deeper_pool", "conv_smallbatch", "conv_nas", "conv_train_dp"],
        "mnist",
    ),
}  # fmt: skip
DIGITS = [
    "digits_train", "digits_mlp", "digits_noisy", "digits_noisy_wide",
    "digits_noisy_mlp", "digits_noisy_narrow",
]  # fmt: skip
FUNCTIONS = [
    *(f"quadratic_{n}" for n in (10, 20, 100)),
    *(f"rastrigin_{n}" for n in (2, 10, 20)),
]


def numpy(tensor):
    return ops.convert_to_numpy(ops.stop_gradient(tensor))


def test_the_whole_suite_is_there():
    expected = {*DATASETS, *FUNCTIONS, *DIGITS, *problems.BREADTH}
    assert set(problems.names()) == expected


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_each_problem_asks_for_the_data_of_its_name(
    name, tmp_path, monkeypatch
):
    # Nothing listens here: each set that is not on disk is asked for in vain.
    monkeypatch.setattr(
        problems.datasets, "_download_host", lambda builder: "127.0.0.1"
    )
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(
        problems.DatasetError, match=f"tfds build {DATASETS[name]}`"
    ):
        problems.get(name)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        ("conv_wider", [32, 64, 10]),
        ("conv_deeper", [16, 32, 32, 64, 64, 10]),
        ("conv_cifar10_wider", [32, 64, 64, 128, 128, 10]),
        ("mlp_train", [20, 10]),
    ],
)
def test_networks_have_the_widths_of_the_suite_on_any_image(name, kernels):
    problem = problems.get(name, dataset="digits")
    assert [s[-1] for s in problem.trainable_shapes[::2]] == kernels
    assert problem.model.output_shape == (None, 10)


def test_strided_and_pooled_networks_end_at_the_same_size():
    shapes = [
        catalogue.CATALOGUE[name]
        .network((32, 32, 3), 10)
        .layers[-2]
        .output.shape
        for name in ("conv_deeper", "conv_deeper_pool")
    ]
    assert shapes == [(None, 3 * 3 * 64)] * 2


@pytest.mark.parametrize(
    ("name", "parameters"), [("resnet", 0.37e6), ("wide_resnet", 5.8e6)]
)
def test_residual_networks_have_the_size_of_the_paper(name, parameters):
    model = catalogue.CATALOGUE[name].network((32, 32, 3), 10)
    count = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert count == pytest.approx(parameters, rel=0.02)
    convolutions = [
        layer.kernel_size == (3, 3)
        for layer in model.layers
        if hasattr(layer, "kernel_size")
    ]
    assert sum(convolutions) == 25  # 28 less the dense layer and 2 shortcuts'
    assert convolutions.count(False) == (3 if name == "wide_resnet" else 2)


def test_the_searched_cell_adds_its_branches():
    from keras_l2o.problems import searched

    model = searched.nas((8, 8, 1), 10, cells=1)
    sums = [x for x in model.layers if type(x).__name__ == "Add"]
    assert [len(layer.input) for layer in sums] == [2, 3]
    kernels = [x.filters for x in model.layers if type(x).__name__ == "Conv2D"]
    assert kernels == [16] * 6


@pytest.mark.backend
def test_a_network_with_normalization_is_a_pure_function():
    rng = np.random.default_rng(0)
    problem = problems.Problem(
        problems.nas((6, 6, 1), 3, cells=1),
        (rng.normal(size=(8, 6, 6, 1)).astype("float32"), np.arange(8) % 3),
        batch_size=8,
    )
    trainable, non_trainable = (
        [ops.convert_to_tensor(v) for v in values]
        for values in problem.initial_values(0)
    )
    x, y = problem.batches(rng, 1)
    batch = (ops.convert_to_tensor(x[0]), ops.convert_to_tensor(y[0]))
    (value, new), gradients = backend.value_and_grad(
        lambda variables: problem.loss_value(variables, non_trainable, batch)
    )(trainable)
    assert np.isfinite(numpy(value))
    assert all(np.any(numpy(g)) for g in gradients)
    moved = [np.any(numpy(a) != numpy(b)) for a, b in zip(new, non_trainable)]
    assert any(moved)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "conv_tran"}, "Did you mean 'conv_train'"),
        ({"name": "quadratic_10", "dataset": "digits"}, "has no data"),
        ({"name": "tiny_quadratic", "batch_size": 2}, "its own data"),
        ({"name": "digits_mlp", "examples": 0}, "`examples` must be"),
        ({"name": "digits_mlp", "examples": 1501}, "1500"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        problems.get(**arguments)


def test_examples_are_the_first():
    whole = problems.load_dataset("digits")
    some = problems.get("digits_mlp", batch_size=4, examples=10)
    np.testing.assert_array_equal(some.data.x_train, whole.x_train[:10])
    assert some.examples == 10


def test_a_depth_that_no_residual_network_has_is_refused():
    with pytest.raises(ValueError, match="6 n \\+ 4"):
        problems.resnet((8, 8, 1), 10, depth=30)


def test_a_batch_size_of_zero_is_not_taken_for_none():
    with pytest.raises(ValueError, match="batch_size=0"):
        problems.get("digits_mlp", batch_size=0)
