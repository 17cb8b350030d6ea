"""The problems that have names."""

import functools
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

from keras_l2o.problems import breadth
from keras_l2o.problems import datasets
from keras_l2o.problems import functions
from keras_l2o.problems import networks
from keras_l2o.problems.noisy import NoisyImages
from keras_l2o.problems.problem import Problem
from keras_l2o.problems.residual import resnet
from keras_l2o.problems.searched import nas
from keras_l2o.registry import Registry


class Entry(NamedTuple):
    """A classifier of the catalogue, and how long it is trained in a suite.

    Attributes:
        dataset: String, the name of the data set.
        network: Function `(input_shape, classes) -> keras.Model`.
        batch_size: Int. Defaults to `128`.
        epochs: Int, how long a suite trains it. Defaults to `25`.
        private: Bool. Whether a suite trains it with differential privacy.
            Defaults to `False`.
        noise: Pair of floats, the noise of pixels and of labels; see
            `NoisyImages`. Defaults to `None`, the images as they are.

    Example:

    >>> keras_l2o.problems.Entry(
    ...     "digits", keras_l2o.problems.networks.mlp, epochs=5).batch_size
    128
    """

    dataset: str
    network: Callable[[tuple[int, ...], int], Any]
    batch_size: int = 128
    epochs: int = 25
    private: bool = False
    noise: tuple | None = None


class ProblemEntry(NamedTuple):
    """A problem of the catalogue that is made as it is.

    Attributes:
        make: Function without arguments that returns a `Problem`.
        steps: Int, how many steps a suite makes. Defaults to `1000`.

    Example:

    >>> entry = keras_l2o.problems.ProblemEntry(
    ...     lambda: keras_l2o.problems.Problem(model, (x, y), "mse", 4))
    >>> keras_l2o.problems.register("mine", entry)
    >>> keras_l2o.problems.get("mine").size
    5
    """

    make: Callable[[], Problem]
    steps: int = 1000


class FunctionEntry(NamedTuple):
    """A function of the catalogue, and how long a suite minimizes it.

    Attributes:
        layer: Function without arguments that returns a `keras.layers.Layer`.
        steps: Int, how many steps a suite makes. Defaults to `1000`.

    Example:

    >>> layer = keras_l2o.problems.functions.Quadratic
    >>> keras_l2o.problems.FunctionEntry(lambda: layer(3)).steps
    1000
    """

    layer: Callable[[], Any]
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


CATALOGUE = Registry(
    "problem",
    {
        "digits_train": Entry("digits", _conv((16, 3), 2, (32, 3))),
        "digits_noisy": Entry(
            "digits", _conv((16, 3), 2, (32, 3)), noise=_NOISE
        ),
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
        "conv_avg": Entry(
            "mnist", _conv((16, 3), 2, (32, 5), 2, head="average")
        ),
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
        **{name: ProblemEntry(make) for name, make in breadth.MAKERS.items()},
    },
)


def register(name: str, entry: Entry | FunctionEntry | ProblemEntry) -> None:
    """Lets `get`, suites and the command line name a problem of your own.

    Args:
        name: String.
        entry: `keras_l2o.problems.Entry`, a classifier, or
            `keras_l2o.problems.FunctionEntry`.

    Raises:
        ValueError: There is another problem of this name.

    Example:

    >>> keras_l2o.problems.register("mine", keras_l2o.problems.Entry(
    ...     "digits", lambda shape, classes: keras.Sequential([
    ...         keras.Input(shape), keras.layers.Flatten(),
    ...         keras.layers.Dense(classes)])))
    >>> keras_l2o.problems.get("mine").size
    650
    """
    CATALOGUE.register(name, entry)


def names() -> list[str]:
    """The names of all problems that `get` can make.

    Returns:
        Sorted list of strings.

    Example:

    >>> "digits_mlp" in keras_l2o.problems.names()
    True
    """
    return sorted(CATALOGUE)


def entry(name: str) -> Entry | FunctionEntry | ProblemEntry:
    """What the catalogue has under a name."""
    return CATALOGUE.find(name)


def get(
    name: str,
    dataset: str | datasets.Dataset | None = None,
    batch_size: int | None = None,
    examples: int | None = None,
) -> Problem:
    """Makes a problem from its name.

    Args:
        name: String, one of `names()`.
        dataset: Name of a data set, or a `Dataset`, to use instead of the
            problem's own. Defaults to `None`, its own.
        batch_size: Int. Defaults to `None`, the problem's own.
        examples: Int. Use only the first so many training examples. Defaults
            to `None`, all.

    Returns:
        A `Problem`.

    Raises:
        ValueError: There is no problem of this name, or it has no data and
            an argument is about data.
        DatasetError: The data set is not on disk and cannot be downloaded.

    Example:

    >>> problem = keras_l2o.problems.get("digits_mlp", batch_size=32)
    >>> problem.size  # parameters of the model
    1510
    """
    problem = _made(name, dataset, batch_size, examples)
    if not isinstance(dataset, datasets.Dataset):
        problem.recipe = (_again, (name, dataset, batch_size, examples))
    return problem


@functools.lru_cache(maxsize=4)
def _again(*arguments):
    """The problem of these arguments, made once in this process."""
    return get(*arguments)


def _made(name, dataset, batch_size, examples):
    found = entry(name)
    if not isinstance(found, Entry):
        given = {
            "dataset": dataset, "batch_size": batch_size, "examples": examples
        }  # fmt: skip
        for argument, value in given.items():
            if value is not None:
                function = isinstance(found, FunctionEntry)
                why = "is a function and has no" if function else "has its own"
                raise ValueError(
                    f"Problem {name!r} {why} data. "
                    f"Received: {argument}={value!r}"
                )
        if isinstance(found, ProblemEntry):
            return found.make()
        return functions.function_problem(found.layer, name)
    images = found.dataset if dataset is None else dataset
    if not isinstance(images, datasets.Dataset):
        images = datasets.load(images)
    if examples is not None:
        images = datasets.first_examples(images, examples)
    network = found.network(images.x_train.shape[1:], images.classes)
    if batch_size is None:
        batch_size = found.batch_size
    data: Any = images
    if found.noise is not None:
        data = NoisyImages(images, batch_size, *found.noise)
    return Problem(network, data, batch_size=batch_size, name=name)


def get_all(
    problems: Problem | str | list[Problem | str] | tuple[Problem | str, ...],
) -> list[Problem]:
    """Makes a list of problems from names and problems.

    Args:
        problems: A `Problem`, the name of one, or a list of these. A problem
            is taken as it is; a name is what `get` makes of it.

    Returns:
        List of `Problem`.

    Raises:
        ValueError: There is no problem of one of the names.

    Example:

    >>> problems = keras_l2o.problems.get_all(["quadratic_10", "rastrigin_2"])
    >>> [problem.size for problem in problems]
    [10, 2]
    """
    several = problems if isinstance(problems, (list, tuple)) else [problems]
    return [
        get(entry) if isinstance(entry, str) else entry for entry in several
    ]
