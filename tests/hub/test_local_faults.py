"""What is refused by name: tampered arguments, and what the system says."""

import os

import pytest

import keras_l2o
from keras_l2o import hub
from keras_l2o.hub import folder as folder_module
from tests.hub.forge import edit_config


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", float("nan")),
        ("learning_rate", True),
        ("learning_rate", 1),
        ("warmup_steps", 1e30),
        ("warmup_steps", True),
        ("warmup_rate", True),
        ("warmup_rate", float("inf")),
    ],
)
def test_an_argument_out_of_its_kind_is_refused_by_its_name(key, value, folder):
    edit_config(folder, lambda config: config.update({key: value}))
    with pytest.raises(hub.FormatError, match=rf"^{key} in config\.json"):
        hub.load(folder)


@pytest.mark.parametrize("path", ["x" * 300, "a\0b", "config.json/x"])
def test_a_path_that_the_system_refuses_is_a_hub_error(path, folder):
    for where in (folder / path, folder / path / "deeper"):
        with pytest.raises(hub.HubError) as caught:
            hub.load(where)
        assert path in str(caught.value)


def test_a_broken_or_circular_link_is_a_missing_folder(folder, tmp_path):
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("broken", "circle"):
        with pytest.raises(hub.HubError, match=name):
            hub.load(tmp_path / name)


def test_what_the_system_says_while_reading_names_the_file(folder, monkeypatch):
    def failing(path, *arguments):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(folder_module, "open", failing, raising=False)
    with pytest.raises(hub.HubError, match=r"SHA256SUMS|json|h5") as caught:
        hub.load(folder)
    assert "Input/output error" in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_place_that_cannot_be_written_is_named(optimizer, folder):
    for place in ("/proc/self/nowhere/a", folder / "config.json/a"):
        with pytest.raises(hub.HubError, match=str(place)):
            hub.save(optimizer, place)


def test_a_full_disk_is_named_and_nothing_is_left(
    optimizer, tmp_path, monkeypatch
):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(hub.HubError, match=r"full/a.*No space left") as caught:
        hub.save(optimizer, tmp_path / "full" / "a")
    assert isinstance(caught.value, keras_l2o.errors.UserError)
    assert not list((tmp_path / "full").iterdir())


def test_an_optimizer_that_its_config_cannot_make_is_a_format_error(
    folder, monkeypatch
):
    def broken(*arguments, **options):
        raise TypeError("not so")

    monkeypatch.setattr(folder_module, "LearnedOptimizer", broken)
    broken.__name__ = "LearnedOptimizer"
    with pytest.raises(hub.FormatError, match="not so"):
        hub.load(folder)
    with pytest.raises(TypeError):  # the caller's own
        hub.load(folder, clipnorm="x")
