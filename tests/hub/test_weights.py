import io

import h5py
import numpy as np
import pytest

import keras_l2o
from keras_l2o import hub
from keras_l2o.hub import weights
from tests.hub.forge import edit_weights
from tests.hub.forge import sign


def replace(file, name, **options):
    """Puts another dataset in the place of one."""
    data = file[name][()]
    del file[name]
    file.create_dataset(name, **{"data": data, **options})


def with_nan(value):
    value = np.array(value)
    value.flat[0] = np.nan
    return value


DAMAGES = {
    "fewer weights": (lambda f: f.pop("0"), "has 7 weights. The file has 6"),
    "more weights": (
        lambda f: f.create_dataset("7", data=0.0),
        "has 7 weights. The file has 8",
    ),
    "another shape": (
        lambda f: replace(f, "0", data=f["0"][()].T),
        r"float32 of shape \(2, 16\)",
    ),
    "another type": (
        lambda f: replace(f, "0", data=f["0"][()].astype("float64")),
        "It is float64",
    ),
    "not finite": (
        lambda f: f["0"].write_direct(with_nan(f["0"][()])),
        "Weight 0 .* is not finite",
    ),
    "chunks": (
        lambda f: replace(f, "0", chunks=(2, 16), compression="gzip"),
        "no plain array",
    ),
    "group": (
        lambda f: (f.pop("0"), f.create_group("0")),
        "no plain array",
    ),
    "soft link": (
        lambda f: (f.pop("0"), f.update({"0": h5py.SoftLink("/1")})),
        "no plain array",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_weights_that_are_not_the_policys_are_refused(damage, folder):
    edit, message = DAMAGES[damage]
    edit_weights(folder, edit)
    with pytest.raises(hub.WeightsError, match=message):
        hub.load(folder)


@pytest.mark.parametrize("form", ["link", "storage", "virtual"])
def test_weights_in_another_file_are_refused(form, folder, tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["0"] = np.zeros((2, 16), "float32")

    def edit(file):
        del file["0"]
        if form == "link":
            file["0"] = h5py.ExternalLink(str(secret), "/0")
        elif form == "storage":
            file.create_dataset(
                "0", (2, 16), "float32", external=[(str(secret), 0, 128)]
            )
        else:
            layout = h5py.VirtualLayout((2, 16), "float32")
            layout[:] = h5py.VirtualSource(str(secret), "0", (2, 16))
            file.create_virtual_dataset("0", layout)

    edit_weights(folder, edit)
    with pytest.raises(hub.WeightsError, match="no plain array"):
        hub.load(folder)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_weights_file_is_refused(share, folder):
    path = folder / "policy.weights.h5"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    sign(folder)
    with pytest.raises(hub.WeightsError, match="cannot be read"):
        hub.load(folder)


def test_noise_is_refused(folder):
    path = folder / "policy.weights.h5"
    path.write_bytes(np.random.default_rng(0).bytes(4096))
    sign(folder)
    with pytest.raises(hub.WeightsError, match="cannot be read"):
        hub.load(folder)


def test_a_refusal_leaves_every_weight_as_it_was():
    policy = keras_l2o.policies.RNNProp(units=(4,))
    policy.build(None)
    buffer = io.BytesIO(weights.pack(policy))
    with h5py.File(buffer, "r+") as file:
        file["0"][...] = 1.0
        file["3"][...] = np.nan  # the last: all before it are sound
    before = [weight.copy() for weight in policy.get_weights()]
    with pytest.raises(hub.WeightsError):
        weights.unpack(buffer.getvalue(), policy)
    for old, new in zip(before, policy.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_weights_that_hdf5_does_not_hold_are_refused():
    policy = keras_l2o.policies.RNNProp(
        units=(4,),
        dtype="bfloat16",
        cell_options={"recurrent_initializer": "glorot_uniform"},
    )
    policy.build(None)
    with pytest.raises(hub.HubError, match="float32"):
        weights.pack(policy)
