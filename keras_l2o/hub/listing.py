"""The bundled optimizers in a table, to pick one by its figures."""

from keras_l2o import extras
from keras_l2o.hub import card_files
from keras_l2o.hub import names
from keras_l2o.hub.errors import FormatError
from keras_l2o.hub.folder import read_metadata


def available():
    """Lists the bundled optimizers.

    Returns:
        A `pandas.DataFrame` with a row for each: `name`, `family`,
        `replicate`, the figures that were measured when it was made, and
        those of its card, which are named `problem.figure`.

    Raises:
        MissingExtra: pandas is not installed.
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
