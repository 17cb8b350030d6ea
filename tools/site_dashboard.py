"""The page to choose an optimizer by looking, over all stored evaluations.

    python tools/site_dashboard.py FOLDER

writes it. `docs/conf.py` does so in each build of the site.
"""

import pathlib
import sys

from keras_l2o import dashboard

ROOT = pathlib.Path(__file__).parents[1]

#: Folders of the repository with stored evaluations.
STORED = ("unseen", "held_out", "held_out_25", "meta_training")
#: A choice policy, with the weights of its pool, beside the pool.
CHOICE = "benchmarks/choice_on_digits"


def data():
    """What the page shows.

    Raises:
        ValueError: A stored evaluation cannot be read.
    """
    paths = [ROOT / name for name in STORED]
    paths += sorted((ROOT / CHOICE).glob("*.npz"))
    found = dashboard.Gatherer(paths).data()
    if found["faults"]:
        raise ValueError("\n".join(found["faults"]))
    return found


def write(folder):
    """Writes the page into a folder."""
    dashboard.write(data(), folder)


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
