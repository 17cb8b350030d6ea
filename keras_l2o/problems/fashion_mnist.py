"""Fashion-MNIST without a network, from Debian's copy of its files."""

import gzip
import hashlib
import pathlib
import struct
import tempfile

from keras_l2o.problems import datasets

#: Where Debian's package dataset-fashion-mnist puts them.
SOURCE = "/usr/share/datasets/fashion-mnist"

#: When the authors compressed each file, in seconds since 1970.
TIMES = {
    "train-images-idx3-ubyte.gz": 1504176606,
    "train-labels-idx1-ubyte.gz": 1504176606,
    "t10k-images-idx3-ubyte.gz": 1504176627,
    "t10k-labels-idx1-ubyte.gz": 1504176627,
}


def restore_header(data, name, time):
    """Puts name and time back into a gzip file's header.

    Debian strips both to make its builds reproducible. With them the files
    equal the authors' byte for byte, and so their registered checksums.

    Args:
        data: Bytes of a gzip file whose header has neither.
        name: String, the name of the file that was compressed.
        time: Int, in seconds since 1970.
    """
    if data[:4] != b"\x1f\x8b\x08\x00":
        raise datasets.DatasetError(
            f"The file for {name!r} is no gzip file without a name in its "
            f"header: it begins with {data[:4].hex()}."
        )
    header = b"\x1f\x8b\x08\x08" + struct.pack("<I", time) + data[8:10]
    return header + name.encode("ascii") + b"\x00" + data[10:]


def prepare(source=SOURCE, data_dir=None):
    """Prepares Fashion-MNIST for `load("fashion_mnist")`.

    Args:
        source: Folder with the four `.gz` files of Debian's package
            dataset-fashion-mnist.
        data_dir: Folder of TensorFlow Datasets. Defaults to `TFDS_DATA_DIR`,
            or `tensorflow_datasets` in the home folder.

    Returns:
        The folder in which the prepared set lies.
    """
    tfds = datasets.import_tfds()
    builder = tfds.builder(
        "fashion_mnist", try_gcs=False, data_dir=data_dir or datasets.data_dir()
    )
    if pathlib.Path(builder.data_dir).exists():
        return str(builder.data_dir)
    source = pathlib.Path(source)
    missing = [name for name in TIMES if not (source / name).is_file()]
    if missing:
        raise datasets.DatasetError(
            f"Folder {source} lacks {', '.join(missing)}. Install Debian's "
            "package (`apt-get install dataset-fashion-mnist`), or run `make "
            "fashion-mnist`, or name the folder that has the files."
        )
    registered = {
        url.rsplit("/", 1)[-1]: info for url, info in builder.url_infos.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, time in TIMES.items():
            data = (source / name).read_bytes()
            if data[3] == 0:
                data = restore_header(data, name.removesuffix(".gz"), time)
            if hashlib.sha256(data).hexdigest() != registered[name].checksum:
                raise datasets.DatasetError(
                    f"{source / name} is not the authors' file: its checksum "
                    f"differs. It holds {_size(data)} bytes."
                )
            (pathlib.Path(folder) / name).write_bytes(data)
        config = tfds.download.DownloadConfig(
            manual_dir=folder, try_download_gcs=False
        )
        builder.download_and_prepare(
            download_dir=folder, download_config=config
        )
    return str(builder.data_dir)


def _size(data):
    try:
        return len(gzip.decompress(data))
    except (OSError, EOFError):
        return "unreadable"
