"""Real data that need no download, as arrays for training and validation.

Photographs and tables come with scikit-learn and statsmodels, text is the
source code of Python's own library.
"""

import functools
import io
import pathlib
import sysconfig
import tokenize
import zlib

import numpy as np

from keras_l2o.problems import Dataset

#: Printable characters, and those of white space; all else is the last one.
SYMBOLS = 97

#: Modules whose source is text to train on, and to validate on.
CODE_TRAINING = (
    "argparse", "ast", "calendar", "configparser", "datetime", "decimal",
    "difflib", "doctest", "enum", "functools", "heapq", "imaplib", "inspect",
    "ipaddress", "locale", "mailbox", "optparse", "pathlib", "pickle",
    "platform", "random", "shutil", "smtplib", "socket", "ssl", "statistics",
    "subprocess", "tarfile", "tempfile", "threading", "traceback", "types",
    "typing", "uuid", "zipfile",
)  # fmt: skip
CODE_VALIDATION = ("cmd", "dataclasses", "fractions", "glob", "textwrap")

#: Modules that a few of their lines are to be told by.
MODULES = (
    "argparse", "ast", "calendar", "configparser", "datetime", "difflib",
    "doctest", "enum", "imaplib", "inspect", "ipaddress", "mailbox", "optparse",
    "pickle", "shutil", "smtplib", "socket", "statistics", "subprocess",
    "tarfile", "threading", "typing", "uuid", "zipfile",
)  # fmt: skip


def source(module):
    """Source code of a module of Python's library, as a string."""
    folder = pathlib.Path(sysconfig.get_paths()["stdlib"])
    # Some have become packages in later versions of Python.
    for path in (folder / f"{module}.py", folder / module / "__init__.py"):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError(f"Python's library in {folder} has no {module!r}.")


@functools.cache
def _code(modules):
    text = "\n".join(source(module) for module in modules)
    known = {chr(code): code - 32 for code in range(32, 127)} | {"\n": 95}
    return np.array([known.get(letter, 96) for letter in text], "int32")


def code(length, name="code", validation=256):
    """Windows of source code, and the characters that come next.

    Args:
        length: Int. Characters of a window.
        name: String.
        validation: Int. Number of windows to validate on, from other modules.
    """

    def windows(modules):
        characters = _code(modules)
        count = (len(characters) - 1) // length
        x = characters[: count * length].reshape(count, length)
        y = characters[1 : count * length + 1].reshape(count, length)
        return x, y

    x, y = windows(CODE_TRAINING)
    held_x, held_y = windows(CODE_VALIDATION)
    chosen = np.linspace(0, len(held_x) - 1, validation).astype(int)
    # Accuracy is of one label an example, so these are no classes.
    return Dataset(name, 0, x, y, held_x[chosen], held_y[chosen])


def hashed_words(rows, words, lines=6):
    """Words of a few lines of code, hashed, and the module they are from.

    Args:
        rows: Int. Number of hashes; zero stands for no word.
        words: Int. Words of an example.
        lines: Int. Lines of an example.
    """
    bags, labels = [], []
    for label, module in enumerate(MODULES):
        tokens = tokenize.generate_tokens(io.StringIO(source(module)).readline)
        by_line = {}
        for token in tokens:
            if token.type == tokenize.NAME:
                number = 1 + zlib.crc32(token.string.encode()) % (rows - 1)
                by_line.setdefault(token.start[0] // lines, []).append(number)
        for bag in by_line.values():
            if len(bag) >= 4:
                bags.append((bag + [0] * words)[:words])
                labels.append(label)
    return split(
        "hashed_words",
        np.array(bags, "int32"),
        np.array(labels, "int32"),
        500,
        len(MODULES),
    )


def photograph(name):
    """A photograph, float32 `(427, 640, 3)` in [0, 1].

    Args:
        name: String, `"china"` or `"flower"`.
    """
    from sklearn.datasets import load_sample_image

    return load_sample_image(f"{name}.jpg").astype("float32") / 255.0


def patches(image, size):
    """Squares that do not overlap, `(rows, columns, size, size, 3)`."""
    rows, columns = image.shape[0] // size, image.shape[1] // size
    image = image[: rows * size, : columns * size]
    return image.reshape(rows, size, columns, size, -1).swapaxes(1, 2)


def pixels(name, size):
    """Places in a photograph and the colors there; each fifth is held out.

    Args:
        name: String, as in `photograph`.
        size: Int. Height and width of the part, from its middle.

    Returns:
        A `Dataset` of places in [-1, 1] and colors.
    """
    image = photograph(name)
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    colors = image[top : top + size, left : left + size].reshape(-1, 3)
    axis = np.linspace(-1.0, 1.0, size, dtype="float32")
    places = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    return split(f"{name}_pixels", places, colors, len(colors) // 5)


def split(name, x, y, validation, classes=0, seed=0):
    """A `Dataset` of examples, of which some, drawn once, are held out."""
    order = np.random.default_rng(seed).permutation(len(x))
    held, kept = order[:validation], order[validation:]
    return Dataset(name, classes, x[kept], y[kept], x[held], y[held])


def split_groups(name, x, y, validation, classes=0):
    """As `split`, of rows that often recur: equal ones stay together.

    At least so many are held out, a few more if the last ones are equal.
    """
    _, groups = np.unique(x, axis=0, return_inverse=True)
    order = np.random.default_rng(0).permutation(groups.max() + 1)
    sizes = np.bincount(groups)[order]
    held = order[: np.searchsorted(np.cumsum(sizes), validation) + 1]
    out = np.isin(groups, held)
    return Dataset(name, classes, x[~out], y[~out], x[out], y[out])


def standardized(data):
    """A `Dataset` whose features have mean 0 and deviation 1 in training."""
    mean = data.x_train.mean(axis=0)
    scale = data.x_train.std(axis=0) + 1e-6
    x, held = (
        ((part - mean) / scale).astype("float32")
        for part in (data.x_train, data.x_validation)
    )
    return data._replace(x_train=x, x_validation=held)


def table(name):
    """A table of statsmodels, a `pandas.DataFrame`."""
    import statsmodels.api

    return getattr(statsmodels.api.datasets, name).load_pandas().data


def weekly(length):
    """Windows of the carbon dioxide in the air, as changes by the week.

    The last fifth of the years is held out.

    Args:
        length: Int. Weeks of a window.

    Returns:
        A `Dataset` of changes `(windows, length, 1)` and of the next ones.
    """
    level = table("co2")["co2"].interpolate().to_numpy("float32")
    change = np.diff(level)
    end = len(change) * 4 // 5
    change = (change - change[:end].mean()) / change[:end].std()

    def windows(series):
        found = np.lib.stride_tricks.sliding_window_view(series, length + 1)
        found = found.astype("float32")[..., None]
        return found[:, :-1], found[:, 1:]

    return Dataset("co2", 0, *windows(change[:end]), *windows(change[end:]))
