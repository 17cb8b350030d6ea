import os
import shutil

import pytest

import keras_l2o
from keras_l2o.hub import card_files
from keras_l2o.hub import names
from tests.hub.server import Hub


@pytest.fixture
def optimizer():
    policy = keras_l2o.policies.RNNProp(units=(4, 3), learning_rate=0.3)
    return keras_l2o.LearnedOptimizer(
        policy, learning_rate=0.7, warmup_steps=5, warmup_rate=0.02
    )


@pytest.fixture
def folder(optimizer, tmp_path):
    keras_l2o.save(optimizer, tmp_path / "saved", metadata={"seed": 3})
    return tmp_path / "saved"


@pytest.fixture(scope="session")
def running_hub():
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture
def hub_server(running_hub, monkeypatch):
    """An empty Hub, an empty cache, and nobody logged in."""
    running_hub.reset()
    shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)
    monkeypatch.setenv("HF_ENDPOINT", running_hub.url)
    return running_hub


@pytest.fixture
def logged_in(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_member")
    return "hf_member"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Stands in for the places of the bundled folders and of their cards."""
    root = tmp_path / "pre-trained"
    for name, loss in [
        ("min-max/1", -1.5),
        ("min-max/2", -2.0),
        ("mean/1", -1),
    ]:
        figures = {"val_log_loss": loss, "digits": {"log_loss": loss / 2}}
        keras_l2o.save(
            keras_l2o.LearnedOptimizer(keras_l2o.policies.Adam(0.1)),
            root / name,
            metadata={
                "distillation": name.split("/")[0],
                "teachers": {"adam": 0.01, "rmsprop": 0.003},
                "seed": 3,
                "command": "keras-l2o train | <b>",
                "figures": figures,
            },
        )
    hub_cards = tmp_path / "hub_cards"
    hub_cards.mkdir()
    shutil.copy(card_files.root() / "template.md", hub_cards)
    monkeypatch.setattr(names, "roots", lambda: [root])
    monkeypatch.setattr(card_files, "root", lambda: hub_cards)
    return root


@pytest.fixture
def hub_cards(root):
    return root.parent / "hub_cards"
