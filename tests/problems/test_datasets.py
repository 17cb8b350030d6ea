import gzip
import time

import numpy as np
import pytest

from keras_l2o import problems
from keras_l2o.problems import fashion_mnist
from keras_l2o.problems.noisy import NoisyImages


def test_digits_are_embedded():
    data = problems.load_dataset("digits")
    assert data.x_train.shape == (1500, 8, 8, 1)
    assert data.x_validation.shape == (297, 8, 8, 1)
    assert data.x_train.dtype == "float32"
    assert data.x_train.min() == 0.0
    assert data.x_train.max() == 1.0
    assert set(data.y_train) == set(range(10))


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    theirs = load_digits()
    with np.load(problems.datasets.DIGITS) as ours:
        np.testing.assert_array_equal(ours["images"], theirs.images)
        np.testing.assert_array_equal(ours["labels"], theirs.target)


@pytest.mark.backend
def test_named_problems_on_digits_have_the_networks_of_their_names():
    conv = problems.get("digits_train")
    assert [s[-1] for s in conv.trainable_shapes] == [16, 16, 32, 32, 10, 10]
    assert conv.batch_size == 128
    assert problems.get("digits_mlp", batch_size=32).batch_size == 32
    assert set(problems.names()) >= {"conv_train", "mlp_train", "digits_train"}


@pytest.mark.parametrize("name", ["kmnist", "fashion_mnist", "cifar10"])
def test_without_a_network_a_missing_set_fails_fast_and_says_what_to_do(
    name, tmp_path, monkeypatch
):
    # Nothing listens here, and no name is looked up: as without a network.
    monkeypatch.setattr(
        problems.datasets, "_download_host", lambda builder: "127.0.0.1"
    )
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    problems.datasets.import_tfds()
    started = time.monotonic()
    with pytest.raises(problems.DatasetError, match=f"tfds build {name}"):
        problems.load_dataset(name)
    assert time.monotonic() - started < 5


def test_an_unknown_set_names_the_nearest():
    with pytest.raises(problems.DatasetError, match=r"Did you mean .*mnist"):
        problems.load_dataset("fashion_mnst")


def test_a_set_that_is_no_image_classification_is_refused():
    with pytest.raises(problems.DatasetError, match="no image"):
        problems.load_dataset("imdb_reviews")


def test_the_header_that_debian_strips_is_put_back(tmp_path):
    path = tmp_path / "digits.gz"
    with (
        open(path, "wb") as file,
        gzip.GzipFile("digits", "wb", fileobj=file, mtime=1504176606) as stream,
    ):
        stream.write(bytes(range(256)) * 4)
    original = path.read_bytes()
    header, name = original[:10], b"digits\0"
    assert original[10 : 10 + len(name)] == name
    stripped = (
        header[:3]
        + b"\0"
        + b"\0\0\0\0"
        + header[8:]
        + original[10 + len(name) :]
    )
    assert (
        fashion_mnist.restore_header(stripped, "digits", 1504176606) == original
    )


def test_fashion_mnist_without_its_files_says_where_they_are(tmp_path):
    with pytest.raises(problems.DatasetError, match="apt-get install"):
        fashion_mnist.prepare(tmp_path, data_dir=tmp_path / "tfds")


def test_fashion_mnist_from_other_files_is_refused(tmp_path):
    for name in fashion_mnist.TIMES:
        (tmp_path / name).write_bytes(gzip.compress(b"no images"))
    with pytest.raises(problems.DatasetError, match="not the authors' file"):
        fashion_mnist.prepare(tmp_path, data_dir=tmp_path / "tfds")
    assert not (tmp_path / "tfds" / "fashion_mnist" / "3.0.1").exists()


def test_a_prepared_set_is_read_from_disk(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    with tfds.core.registered.skip_registration():

        class TinyImages(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")
            name = "mnist"  # a registered name, so that `load` knows it

            def _info(self):
                return self.dataset_info_from_configs(
                    features=tfds.features.FeaturesDict(
                        {
                            "image": tfds.features.Image(shape=(4, 4, 1)),
                            "label": tfds.features.ClassLabel(num_classes=2),
                        }
                    )
                )

            def _split_generators(self, manager):
                return {
                    "train": self._generate_examples(6),
                    "test": self._generate_examples(4),
                }

            def _generate_examples(self, count):
                for i in range(count):
                    image = np.full((4, 4, 1), 51 * i, "uint8")
                    yield i, {"image": image, "label": i % 2}

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    builder = TinyImages(data_dir=tmp_path)
    builder.download_and_prepare()
    monkeypatch.setattr(tfds, "builder", lambda *args, **kwargs: builder)
    data = problems.load_dataset("mnist")
    assert data.x_train.shape == (6, 4, 4, 1)
    assert data.x_validation.shape == (4, 4, 4, 1)
    assert data.classes == 2
    np.testing.assert_allclose(
        np.sort(data.x_train[:, 0, 0, 0]), np.arange(6) * 0.2, atol=1e-6
    )


def test_noisy_images_are_new_each_time_and_right_in_the_mean():
    data = problems.load_dataset("digits")
    noisy = NoisyImages(data, batch_size=50, pixels=0.5, labels=0.2)
    images, labels = noisy.batches(np.random.default_rng(0), 100)
    assert images.shape == (100, 50, 8, 8, 1)
    assert (images.dtype, labels.dtype) == ("float32", "int32")
    np.testing.assert_allclose(
        images.var(), data.x_train.var() + 0.25, rtol=0.02
    )
    # One of ten labels that are drawn is the right one by chance.
    plain = NoisyImages(data, batch_size=50, pixels=0.0, labels=0.0)
    clean, right = plain.batches(np.random.default_rng(0), 100)
    assert clean.max() <= 1.0
    own, other = (
        NoisyImages(data, 50, 0.0, share).batches(np.random.default_rng(1), 99)
        for share in (0.0, 0.2)
    )
    np.testing.assert_array_equal(own[0], other[0])
    np.testing.assert_allclose(
        np.mean(own[1] != other[1]), 0.2 * 0.9, atol=0.02
    )
    assert right.min() == 0
    assert right.max() == 9


def test_a_noisy_problem_trains_on_noise_and_validates_without():
    problem = problems.get("digits_noisy", batch_size=32)
    images, _ = problem.batches(np.random.default_rng(0), 2)
    assert images.shape == (2, 32, 8, 8, 1)
    assert images.max() > 1.0
    assert problem.data.x_validation.max() <= 1.0
