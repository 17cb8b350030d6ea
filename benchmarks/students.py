"""How the benchmarks that train a rule store it."""

import argparse
import pathlib
from typing import Any

import keras_l2o
from keras_l2o import policies
from keras_l2o.version import versions


def save(
    policy: policies.Policy,
    folder: pathlib.Path,
    module: str,
    options: argparse.Namespace,
    **figures: Any,
) -> None:
    """Saves a rule, with the command that it is from.

    Args:
        policy: A policy.
        folder: Path, for `keras_l2o.load`.
        module: String, the module that was run.
        options: The command's options, with `directory` and `problems`.
        **figures: What else the metadata are to hold.
    """
    words = [
        f"--{key} {value}"
        for key, value in vars(options).items()
        if key not in ("directory", "problems") and value is not None
    ]
    metadata = {
        "command": " ".join(["python -m", module, *words]),
        "problems": options.problems,
        **figures,
        "versions": versions(),
    }
    optimizer = keras_l2o.LearnedOptimizer(policy)
    keras_l2o.save(optimizer, folder, metadata, overwrite=True)
