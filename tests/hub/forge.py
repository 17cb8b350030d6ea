"""Changes to a saved folder whose digests are right, as a forger makes them."""

import hashlib
import json

import h5py

CONTENTS = ("config.json", "metadata.json", "policy.weights.h5")


def sign(folder):
    """Makes the digests those of the files."""
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in CONTENTS
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


def edit_config(folder, edit):
    config = json.loads((folder / "config.json").read_text())
    edit(config)
    (folder / "config.json").write_text(json.dumps(config))
    sign(folder)


def edit_weights(folder, edit):
    with h5py.File(folder / "policy.weights.h5", "r+") as file:
        edit(file)
    sign(folder)
