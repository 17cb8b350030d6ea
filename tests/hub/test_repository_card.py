"""The card of a repository with bundled families, and replicates of them."""

import json

import pytest

import keras_l2o
from keras_l2o.hub import card_files

pytestmark = pytest.mark.usefixtures("logged_in")

FAMILY = {"mean": 0.5, "low": 0.0, "high": 1.0, "median": -1.0}
RESULTS = {
    "1": {"conv_train": {"runs": 3, "log_loss_from_oracle": -0.25}},
    "2": {"conv_train": {"runs": 3, "log_loss_from_oracle": 0.125}},
    "*": {"conv_train": FAMILY},
    "datasets": {"conv_train": "fashion_mnist"},
}
#: The family's row, and that of one of its replicates alone.
WHOLE = "| conv_train | +0.500 (+0.000, +1.000) | -1.000 |"
ALONE = "| conv_train | +0.125 |"


@pytest.fixture(autouse=True)
def measured(root, hub_cards):
    card_files.write("min-max", RESULTS)
    (hub_cards / "figures/min-max/losses.png").write_bytes(b"picture")


def held(server):
    return server.repositories["org/repo"].files("main")


def readme(server):
    return held(server)["README.md"].decode()


def test_a_replicate_alone_has_a_card_of_its_own(hub_server, root):
    keras_l2o.publish("min-max/2", "hf://org/repo")
    text = readme(hub_server)
    assert "This is `min-max/2`, one replicate of a family." in text
    assert 'from_hub("hf://org/repo")' in text
    assert "keras-l2o[tensorflow,hub]" in text
    assert ALONE in text
    assert "value: 0.125" in text
    for of_the_family in ("+0.500", "-0.250", "losses.png"):
        assert of_the_family not in text
    files = held(hub_server)
    assert "figures/repo/losses.png" not in files
    stored = json.loads(files["figures/repo/results.json"])
    assert set(stored) == {"1", "2", "datasets"}
    # It is known again when something else is published beside it.
    keras_l2o.publish(root / "mean/1", "hf://org/repo/mean/1")
    assert "This is `min-max/2`" in readme(hub_server)
    assert ALONE in readme(hub_server)


def test_a_whole_family_keeps_its_card_when_one_of_it_comes_again(hub_server):
    keras_l2o.publish("min-max", "hf://org/repo/min-max")
    keras_l2o.publish("min-max/1", "hf://org/repo/min-max/1")
    text = readme(hub_server)
    assert WHOLE in text
    assert "](figures/min-max/losses.png)" in text
    assert "one replicate" not in text
    assert "*" in json.loads(held(hub_server)["figures/min-max/results.json"])


def test_a_users_card_recommends_no_optimizer_but_its_own(hub_server):
    keras_l2o.publish("min-max", "hf://org/repo")
    assert "If in doubt" not in readme(hub_server)
