"""The bundled optimizers in a table, to pick one by its figures."""

from typing import TYPE_CHECKING

from keras_l2o import extras
from keras_l2o.hub import card_files
from keras_l2o.hub import names
from keras_l2o.hub.errors import FormatError
from keras_l2o.hub.folder import read_metadata

if TYPE_CHECKING:
    import pandas


def available() -> "pandas.DataFrame":
    """Lists the optimizers that come with the package.

    Returns:
        A `pandas.DataFrame` with a row for each optimizer. The column `name`
        is what `from_hub` takes; `family` and `replicate` are its two parts.
        The other columns are figures: those that were measured when the
        optimizer was made, such as `val_log_loss`, and those on its model
        card, which are named `problem.figure`.

    Raises:
        HubError: The folder of one of them is damaged.
        MissingExtra: pandas is not installed.

    Example:

    >>> frame = keras_l2o.available()
    >>> list(frame.columns[:3])
    ['name', 'family', 'replicate']
    >>> "min-max-compact/3" in set(frame["name"])
    True
    """
    extras.need("evaluation", "keras_l2o.available()")
    import pandas

    rows = figures()
    first = ["name", "family", "replicate"]
    columns = dict.fromkeys(key for row in rows for key in row)
    return pandas.DataFrame(
        rows, columns=[*first, *(key for key in columns if key not in first)]
    )


def figures():
    """The rows of `available`, as a list of dicts."""
    rows = []
    for name, folder in names.bundled().items():
        family, replicate = name.split("/")
        results = card_files.extras(family).results
        measured = read_metadata(folder).get("figures", {})
        if not isinstance(measured, dict):
            raise FormatError(f"The figures in {folder} must be an object.")
        rows.append(
            {
                **_flatten(measured),
                **_flatten(results.get(replicate, {})),
                "name": name,
                "family": family,
                "replicate": int(replicate),
            }
        )
    return rows


def _flatten(figures, prefix=""):
    flat = {}
    for key, value in figures.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
