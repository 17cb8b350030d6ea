"""Runs that differ only in their seed, side by side."""

import os
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from keras_l2o.cluster import Cluster
from keras_l2o.config.build import build
from keras_l2o.config.configuration import Configuration
from keras_l2o.typing import Path


def train_family(
    configuration: Configuration,
    directory: Path,
    cluster: Cluster,
    runs: int = 8,
    metadata: Mapping[str, Any] | None = None,
    on_run: Callable[[int], Any] | None = None,
) -> list[pathlib.Path]:
    """Trains the replicates of a family by the workers of a cluster.

    Each is a run of its own, as `build` makes it: stored after each period, and
    continued from the last one, by the next call or, if its worker has died, by
    another worker. So if they are on several machines, the directory has to be
    one that all of them see.

    Args:
        configuration: `Configuration`. Run `i`, from 1, has its seed plus
            `i - 1`.
        directory: Path. Run `i` is in its folder `<i>`.
        cluster: `keras_l2o.cluster.Cluster`.
        runs: Int. How many runs. Defaults to `8`.
        metadata: Dict that JSON can hold, stored with each run. Defaults to
            `None`, nothing.
        on_run: Function of a run's number, called when it has ended. Defaults
            to `None`.

    Returns:
        List of the runs' directories.
    """
    # Workers have working directories of their own.
    folders = [
        pathlib.Path(os.path.abspath(directory), str(number))
        for number in range(1, runs + 1)
    ]
    pieces = [
        (
            configuration.model_copy(update={"seed": configuration.seed + i}),
            folder,
            metadata,
        )
        for i, folder in enumerate(folders)
    ]
    for index, _ in cluster.each(train, pieces):
        if on_run is not None:
            on_run(index + 1)
    return folders


def train(
    configuration: Configuration,
    directory: Path,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Makes a run, or goes on with it, to its end.

    Args:
        configuration: `Configuration`.
        directory: Path of the run.
        metadata: Dict that JSON can hold, stored with the run. Defaults to
            `None`, nothing.
    """
    built = build(configuration, directory, metadata)
    built.trainer.fit(callbacks=built.callbacks, verbose=0)
