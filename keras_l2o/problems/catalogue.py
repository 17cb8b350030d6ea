"""Problems by name."""

import difflib
import functools
from typing import Any
from typing import NamedTuple

from keras_l2o.problems import datasets
from keras_l2o.problems import functions
from keras_l2o.problems import networks
from keras_l2o.problems.noisy import NoisyImages
from keras_l2o.problems.problem import Problem
from keras_l2o.problems.residual import resnet
from keras_l2o.problems.searched import nas


class Entry(NamedTuple):
    """A classifier of the catalogue, and how long optimizers are tried on it.

    Attributes:
        dataset: Name of the data set.
        network: `(input_shape, classes) -> keras.Model`.
        batch_size, epochs: Ints.
        private: Bool. Whether it is tried with private training.
        noise: Pair of floats, of pixels and labels, see `NoisyImages`; or
            `None` for the images as they are.
    """

    dataset: str
    network: Any
    batch_size: int = 128
    epochs: int = 25
    private: bool = False
    noise: tuple | None = None


class FunctionEntry(NamedTuple):
    """A function of the catalogue, and how long optimizers are tried on it."""

    layer: Any  # () -> keras.layers.Layer
    steps: int = 1000


def _conv(*layers, **options):
    return functools.partial(networks.conv, layers=layers, **options)


_NOISE = (0.3, 0.03)
_TRAIN = _conv((16, 3), 2, (32, 5), 2)
_DEEPER = _conv((16, 3), (32, 3, 2), (32, 3), (64, 3, 2), (64, 3))
_DEEPER_WIDER = _conv((32, 3), (64, 3, 2), (64, 3), (128, 3, 2), (128, 3))
_DEEPER_POOL = _conv((16, 3), (32, 3), 2, (32, 3), (64, 3), 2, (64, 3))


def _resnet(depth, width=1):
    return functools.partial(resnet, depth=depth, width=width)


CATALOGUE = {
    "digits_train": Entry("digits", _conv((16, 3), 2, (32, 3))),
    "digits_noisy": Entry("digits", _conv((16, 3), 2, (32, 3)), noise=_NOISE),
    "digits_noisy_wide": Entry(
        "digits", _conv((32, 3), 2, (64, 3)), batch_size=64, noise=_NOISE
    ),
    "digits_noisy_mlp": Entry(
        "digits",
        functools.partial(networks.mlp, units=(256,), activation="relu"),
        noise=_NOISE,
    ),
    "digits_noisy_narrow": Entry(
        "digits",
        functools.partial(networks.mlp, units=(64,), activation="relu"),
        noise=_NOISE,
    ),
    "digits_mlp": Entry(
        "digits",
        functools.partial(networks.mlp, units=(20,), activation="relu"),
    ),
    "conv_train": Entry("mnist", _TRAIN),
    "mlp_train": Entry("mnist", networks.mlp),
    "conv_wider": Entry("mnist", _conv((32, 3), 2, (64, 5), 2)),
    "conv_deeper": Entry("mnist", _DEEPER),
    "conv_deeper_pool": Entry("mnist", _DEEPER_POOL),
    "conv_avg": Entry("mnist", _conv((16, 3), 2, (32, 5), 2, head="average")),
    "conv_smallbatch": Entry("mnist", _TRAIN, batch_size=32),
    "conv_fmnist": Entry("fashion_mnist", _TRAIN),
    "conv_kmnist": Entry("kmnist", _TRAIN),
    "conv_svhn": Entry("svhn_cropped", _TRAIN),
    "conv_train_cifar10": Entry("cifar10", _TRAIN),
    "conv_cifar10": Entry("cifar10", _DEEPER),
    "conv_cifar10_wider": Entry("cifar10", _DEEPER_WIDER),
    "conv_cifar10_pool": Entry("cifar10", _DEEPER_POOL),
    "conv_nas": Entry("mnist", nas),
    "conv_nas_cifar": Entry("cifar10", nas),
    "resnet": Entry("cifar10", _resnet(28)),
    "resnet_52": Entry("cifar10", _resnet(52)),
    "resnet_52_100": Entry("cifar100", _resnet(52)),
    "resnet_100_100": Entry("cifar100", _resnet(100)),
    "wide_resnet": Entry("cifar10", _resnet(28, 4)),
    "conv_train_dp": Entry("mnist", _TRAIN, private=True),
    "conv_kmnist_dp": Entry("kmnist", _TRAIN, private=True),
    **{
        f"quadratic_{n}": FunctionEntry(
            functools.partial(functions.Quadratic, n)
        )
        for n in (10, 20, 100)
    },
    **{
        f"rastrigin_{n}": FunctionEntry(
            functools.partial(functions.Rastrigin, n)
        )
        for n in (2, 10, 20)
    },
}


def names():
    """Names of the problems that `get` knows."""
    return sorted(CATALOGUE)


def entry(name):
    """The catalogue's `Entry` or `FunctionEntry` of a name."""
    if name not in CATALOGUE:
        near = difflib.get_close_matches(name, CATALOGUE, n=3)
        raise ValueError(
            f"Unknown problem {name!r}. "
            + (f"Did you mean {' or '.join(map(repr, near))}? " if near else "")
            + f"Known: {', '.join(names())}"
        )
    return CATALOGUE[name]


def get(name, dataset=None, batch_size=None, examples=None):
    """A problem by name.

    Args:
        name: String, one of `names()`.
        dataset: Name of another data set, or a `Dataset`. Defaults to the
            problem's own.
        batch_size: Int. Defaults to the problem's own.
        examples: Int. Use only this many of the training examples, the
            first. Defaults to all.

    Returns:
        A `Problem`.
    """
    found = entry(name)
    if isinstance(found, FunctionEntry):
        given = {
            "dataset": dataset, "batch_size": batch_size, "examples": examples
        }  # fmt: skip
        for argument, value in given.items():
            if value is not None:
                raise ValueError(
                    f"Problem {name!r} is a function and has no data. "
                    f"Received: {argument}={value!r}"
                )
        return functions.function_problem(found.layer, name)
    data = found.dataset if dataset is None else dataset
    if not isinstance(data, datasets.Dataset):
        data = datasets.load(data)
    if examples is not None:
        data = datasets.first_examples(data, examples)
    network = found.network(data.x_train.shape[1:], data.classes)
    if batch_size is None:
        batch_size = found.batch_size
    if found.noise is not None:
        data = NoisyImages(data, batch_size, *found.noise)
    return Problem(network, data, batch_size=batch_size, name=name)


def get_all(problems):
    """The problems of a list, each by its name or as it is.

    Args:
        problems: A `Problem`, its name, or a list of these.

    Returns:
        List of `Problem`.
    """
    several = problems if isinstance(problems, (list, tuple)) else [problems]
    return [
        get(entry) if isinstance(entry, str) else entry for entry in several
    ]
