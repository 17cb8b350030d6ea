import hashlib
import os
import pathlib

import pytest

import keras_l2o
from keras_l2o import hub
from keras_l2o.hub import card_files
from keras_l2o.hub import names
from tools.release_check import first_example

pytestmark = pytest.mark.quick


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Stands in for the place of the bundled folders."""
    root = tmp_path / "pre-trained"
    for name in ("min-max/1", "min-max/2", "min-max/10", "mean/1"):
        save(root / name, rate=0.5)
    monkeypatch.setattr(names, "roots", lambda: [root])
    monkeypatch.setattr(card_files, "root", lambda: tmp_path / "hub_cards")
    return root


def save(folder, rate, **metadata):
    optimizer = keras_l2o.LearnedOptimizer(
        keras_l2o.policies.Adam(0.1), learning_rate=rate
    )
    hub.save(optimizer, folder, metadata=metadata, overwrite=True)


def test_a_name_loads_the_folder_with_overrides(root):
    assert float(keras_l2o.from_hub("min-max/2").learning_rate) == 0.5
    optimizer = keras_l2o.from_hub("min-max/2", learning_rate=2, clipnorm=1.0)
    assert float(optimizer.learning_rate) == 2.0
    assert optimizer.clipnorm == 1.0


@pytest.mark.parametrize(
    "name",
    [
        "min-max/../min-max/1",
        "min-max/..",
        "min-max\\1",
        "min-max//1",
        "min-max/",
        "min-max/1\0",
        "min-max/1\n",
        "min-max/\u0661",
        "min",
        "",
        ".",
        None,
    ],
    ids=repr,
)
def test_a_name_of_another_form_reaches_no_file(name, monkeypatch, root):
    def fail(*arguments):
        raise AssertionError("a file was read")

    monkeypatch.setattr(names, "load", fail)
    monkeypatch.setattr(names, "read", fail)
    with pytest.raises(hub.UnknownName, match="family/replicate") as caught:
        keras_l2o.from_hub(name)
    assert repr(name) in str(caught.value)


def test_a_familys_name_is_its_best_replicate(root):
    def measured(name, loss):
        save(root / name, 0.5, figures={"val_log_loss": loss})

    assert keras_l2o.from_hub("min-max").source.startswith("min-max/1@")
    measured("min-max/10", -0.5)
    assert keras_l2o.from_hub("min-max").source.startswith("min-max/10@")
    measured("min-max/2", -0.6)
    measured("min-max/1", None)
    optimizer = keras_l2o.from_hub("min-max", learning_rate=2.0)
    assert optimizer.source.startswith("min-max/2@")
    assert float(optimizer.learning_rate) == 2.0


def test_one_name_is_recommended_everywhere():
    call = f'from_hub("{names.RECOMMENDED}")'
    assert call in first_example()
    assert call in keras_l2o.from_hub.__doc__
    assert call in keras_l2o.callbacks.Horizon.__doc__
    assert f'"{names.RECOMMENDED}"' in keras_l2o.available.__doc__
    for family in card_files.families():
        assert call in card_files.card(family)


def test_an_unknown_name_lists_the_nearest(root):
    with pytest.raises(hub.UnknownName) as caught:
        keras_l2o.from_hub("minmax/1")
    assert "Nearest: min-max/1" in str(caught.value)
    assert "keras_l2o.available()" in str(caught.value)


@pytest.mark.parametrize(
    "form", [pathlib.Path, str, lambda path: f"./{os.path.relpath(path)}"]
)
def test_a_path_is_a_folder(form, root, monkeypatch):
    folder = root / "min-max/2"
    monkeypatch.chdir(root)
    assert float(keras_l2o.from_hub(form(folder)).learning_rate) == 0.5
    with pytest.raises(hub.MissingFile, match="no folder"):
        keras_l2o.from_hub(form(root / "nowhere/1"))


def test_a_source_says_which_optimizer_it_is(root):
    optimizer = keras_l2o.from_hub("min-max/2")
    sums = (root / "min-max/2/SHA256SUMS").read_bytes()
    digest = hashlib.sha256(sums).hexdigest()
    assert optimizer.source == f"min-max/2@sha256:{digest}"
    loaded = keras_l2o.load(root / "min-max/2")
    assert loaded.source == f"2@sha256:{digest}"
    assert keras_l2o.LearnedOptimizer(loaded.policy).source is None
    with pytest.raises(ValueError, match="`source`"):
        keras_l2o.from_hub("min-max/2", source=1)


def test_a_revision_of_what_has_none_is_an_error(root):
    with pytest.raises(hub.MissingRevision, match="hf://"):
        keras_l2o.from_hub("min-max/2", revision="main")


def test_a_damaged_bundled_folder_is_a_digest_error(root):
    (root / "min-max/1/config.json").write_text("{}")
    with pytest.raises(hub.DigestError):
        keras_l2o.from_hub("min-max/1")


def test_folders_that_are_no_replicates_are_not_listed(root):
    save(root / ".hidden" / "1", 0.5)
    save(root / "min-max" / "draft", 0.5)
    (root / "min-max" / "3").mkdir()
    assert "min-max/3" not in names.bundled()
    assert len(names.bundled()) == 4


def test_the_folders_lie_in_the_package():
    package = pathlib.Path(keras_l2o.__file__).parent
    assert names.roots() == [package / "pre-trained"]
    assert card_files.root() == package / "hub_cards"
    assert (card_files.root() / "template.md").is_file()
    assert len(names.bundled()) > 60
