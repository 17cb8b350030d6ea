"""The page as files that need no server."""

import importlib.resources
import json
import pathlib
from typing import Any

from keras_l2o.files import whole
from keras_l2o.typing import Path

#: Files of the page, in the order in which it loads its scripts.
FILES = (
    "index.html",
    "page.css",
    "uPlot.min.css",
    "uPlot.min.js",
    "uPlot.LICENSE",
    "model.js",
    "table.js",
    "charts.js",
    "page.js",
)
#: The one file of data. A script, since a page from a disk may load no other.
DATA = "data.js"
#: What `index.html` has of a page that was made here.
MARK = b'content="keras_l2o dashboard"'


def asset(name: str) -> bytes:
    """A file of the page.

    Args:
        name: String, one of `FILES`.

    Returns:
        Bytes.
    """
    return (importlib.resources.files(__package__) / "page" / name).read_bytes()


def text(data: dict[str, Any]) -> bytes:
    """The data, as `Gatherer.data` returns them, as JSON without spaces."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).encode()


def script(body: bytes) -> bytes:
    """The script that the page loads, of the data as `text` returns them."""
    return b"window.KERAS_L2O_DATA = " + body + b";\n"


def write(data: dict[str, Any], folder: Path) -> pathlib.Path:
    """Writes the page, which a browser opens from the folder.

    Args:
        data: Dict, as `Gatherer.data` returns.
        folder: Path of the folder. It is made if it does not exist; a page
            that is there is replaced.

    Returns:
        Path of the page, `index.html` in the folder.

    Raises:
        ValueError: The folder has an `index.html` of something else.

    Example:

    >>> data = keras_l2o.dashboard.Gatherer(["held_out/min-max/1"]).data()
    >>> keras_l2o.dashboard.write(data, "results/page").name
    'index.html'
    """
    page = pathlib.Path(folder, "index.html")
    if page.exists() and MARK not in page.read_bytes():
        raise ValueError(
            f"{page} is in the way: it is no page of this command. Take "
            "another folder."
        )
    whole.write(page.with_name(DATA), script(text(data)))
    for name in FILES:
        whole.write(page.with_name(name), asset(name))
    return page
