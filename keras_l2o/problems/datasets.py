"""Image classification data sets by name."""

import difflib
import os
import pathlib
import socket
import urllib.parse
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_l2o import extras
from keras_l2o.errors import UserError

#: Seconds in which the host of a download has to answer.
REACH_SECONDS = 2.0
#: Integers from 0 to 16, `(1797, 8, 8)`, and their classes.
DIGITS = pathlib.Path(__file__).with_name("digits.npz")


class Dataset(NamedTuple):
    """Images and their classes, for training and for validation.

    Attributes:
        name: String.
        classes: Int, how many classes there are.
        x_train: float32 array `(examples, height, width, channels)` of pixels
            in `[0, 1]`.
        y_train: int32 array `(examples,)` of classes, from 0.
        x_validation: As `x_train`.
        y_validation: As `y_train`.

    Example:

    >>> digits = keras_l2o.problems.load_dataset("digits")
    >>> digits.x_train.shape, digits.y_train.shape, digits.classes
    ((1500, 8, 8, 1), (1500,), 10)
    """

    name: str
    classes: int
    x_train: Any
    y_train: Any
    x_validation: Any
    y_validation: Any


class DatasetError(UserError):
    """A data set cannot be loaded; the message says how to get it.

    Example:

    >>> try:
    ...     keras_l2o.problems.load_dataset("mnits")
    ... except keras_l2o.problems.DatasetError as error:
    ...     print(error)
    Unknown data set 'mnits'. Did you mean 'mnist'...
    """


def load(name: str) -> Dataset:
    """Loads an image classification data set by name.

    Args:
        name: String. `"digits"`, which needs no download (scikit-learn has
            it), or any image classification set of TensorFlow Datasets, such
            as `"mnist"` or `"fashion_mnist"`.

    Returns:
        A `Dataset`.

    Raises:
        DatasetError: The set is not on disk and cannot be downloaded. Without
            a network this is raised within five seconds.
        MissingExtra: TensorFlow Datasets is not installed.

    Example:

    >>> keras_l2o.problems.load_dataset("digits").x_validation.shape
    (297, 8, 8, 1)
    """
    if name == "digits":
        return _digits()
    return _tensorflow_dataset(name)


def first_examples(data, examples):
    """A data set with only the first of its training examples.

    Args:
        data: A `Dataset`.
        examples: Int.
    """
    if not 1 <= examples <= len(data.x_train):
        raise ValueError(
            "Argument `examples` must be between 1 and the number of training "
            f"examples, {len(data.x_train)}. Received: examples={examples}"
        )
    return data._replace(
        x_train=data.x_train[:examples], y_train=data.y_train[:examples]
    )


def _digits():
    """1,797 images from the test set of Alpaydin and Kaynak, 1998.

    Source: https://archive.ics.uci.edu/dataset/80, under CC BY 4.0; in the
    order that scikit-learn has them in.
    """
    with np.load(DIGITS, allow_pickle=False) as stored:
        images = (stored["images"] / 16.0).astype("float32")[..., None]
        labels = stored["labels"].astype("int32")
    order = np.random.default_rng(0).permutation(len(images))
    train, validation = order[:1500], order[1500:]
    return Dataset(
        "digits",
        10,
        images[train],
        labels[train],
        images[validation],
        labels[validation],
    )


def _tensorflow_dataset(name):
    tfds = import_tfds()
    known = ["digits", *tfds.list_builders(with_community_datasets=False)]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        raise DatasetError(
            f"Unknown data set {name!r}."
            + (f" Did you mean {' or '.join(map(repr, near))}?" if near else "")
        )
    builder = tfds.builder(name, try_gcs=False, data_dir=data_dir())
    features = builder.info.features
    if not isinstance(features, tfds.features.FeaturesDict) or not (
        {"image", "label"} <= set(features)
        and isinstance(features["label"], tfds.features.ClassLabel)
    ):
        raise DatasetError(
            f"Data set {name!r} has no image with one label, so it is no "
            f"image classification set. Its features: {features}"
        )
    shape = features["image"].shape
    if None in shape:
        raise DatasetError(
            f"The images of data set {name!r} have no common size: {shape}. "
            "Resize them and pass arrays to `Problem`."
        )
    if not pathlib.Path(builder.data_dir).exists():
        _download(tfds, builder, name)
    validation = "test" if "test" in builder.info.splits else "validation"
    if validation not in builder.info.splits:
        raise DatasetError(
            f"Data set {name!r} has neither a test nor a validation split, "
            f"only {sorted(builder.info.splits)}. Split it and pass arrays."
        )
    x_train, y_train = _split(tfds, builder, "train")
    x_validation, y_validation = _split(tfds, builder, validation)
    classes = features["label"].num_classes
    return Dataset(name, classes, x_train, y_train, x_validation, y_validation)


def import_tfds():
    """Imports TensorFlow Datasets, which also reads by TensorFlow."""
    extras.need("datasets", "Every data set but 'digits'")
    import tensorflow_datasets

    return tensorflow_datasets


def data_dir():
    """Where prepared data sets lie: `TFDS_DATA_DIR`, or the home folder."""
    default = pathlib.Path("~", "tensorflow_datasets").expanduser()
    return os.environ.get("TFDS_DATA_DIR", str(default))


def _split(tfds, builder, split):
    data = builder.as_dataset(split=split, batch_size=-1)
    data = tfds.as_numpy(data)
    images = data["image"].astype("float32") / 255.0
    return images, data["label"].astype("int32")


def _download(tfds, builder, name):
    fix = (
        "On a machine with a network run `tfds build "
        f"{name}` and copy the folder {name!r} into {data_dir()}, or set "
        "TFDS_DATA_DIR to where it lies."
    )
    if name == "fashion_mnist":
        fix = (
            "Debian's package dataset-fashion-mnist has it: run `make "
            "fashion-mnist`, or `keras-l2o prepare fashion_mnist`. " + fix
        )
    # Without a network TensorFlow Datasets retries for minutes.
    host = _download_host(builder)
    if not _reachable(host):
        raise DatasetError(
            f"Data set {name!r} is not prepared in {data_dir()}, and "
            f"{host} does not answer. {fix}"
        )
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        builder.download_and_prepare(download_config=config)
    except Exception as error:
        raise DatasetError(
            f"Data set {name!r} could not be prepared: {error} {fix}"
        ) from error


def _download_host(builder):
    """Host of the first file that the set's registered checksums name."""
    for url in getattr(builder, "url_infos", None) or {}:
        host = urllib.parse.urlparse(url).hostname
        if host:
            return host
    return "storage.googleapis.com"


def _reachable(host):
    try:
        with socket.create_connection((host, 443), timeout=REACH_SECONDS):
            return True
    except OSError:
        return False
