"""A folder that is damaged, incomplete or odd is an error that names it."""

import os
import shutil

import pytest

from keras_l2o import hub
from keras_l2o.hub import folder as folder_module
from keras_l2o.hub import json_files
from tests.hub.forge import CONTENTS
from tests.hub.forge import edit_config
from tests.hub.forge import sign

FILES = {*CONTENTS, "SHA256SUMS"}


@pytest.fixture
def nothing_parsed(monkeypatch):
    """Fails the test when anything is parsed or revived."""

    def fail(*arguments):
        raise AssertionError("something was parsed before the error")

    monkeypatch.setattr(json_files, "parse", fail)
    monkeypatch.setattr(folder_module, "policy_from_config", fail)
    monkeypatch.setattr(folder_module.weights, "unpack", fail)


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.quick
def test_one_changed_bit_is_a_digest_error(name, folder, nothing_parsed):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(hub.DigestError, match=f"{name} is corrupt"):
        hub.load(folder)


@pytest.mark.parametrize("name", CONTENTS)
def test_a_truncated_file_is_a_digest_error(name, folder, nothing_parsed):
    os.truncate(folder / name, (folder / name).stat().st_size - 1)
    with pytest.raises(hub.DigestError, match=f"{name} is corrupt"):
        hub.load(folder)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: "",
        lambda text: "\n".join(text.splitlines()[:2]),
        lambda text: text + text.splitlines()[0] + "\n",
        lambda text: text + "0" * 64 + "  ../../secret\n",
        lambda text: text.replace("config.json", "/etc/passwd"),
        lambda text: "\xff" + text,
    ],
    ids=["empty", "fewer", "twice", "more", "elsewhere", "no ascii"],
)
def test_digests_must_list_each_file_once(edit, folder, nothing_parsed):
    text = (folder / "SHA256SUMS").read_text()
    (folder / "SHA256SUMS").write_text(edit(text), encoding="latin-1")
    with pytest.raises(hub.DigestError):
        hub.load(folder)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_named(name, folder, nothing_parsed):
    (folder / name).unlink()
    with pytest.raises(hub.MissingFile, match=name):
        hub.load(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(hub.MissingFile, match="nowhere"):
        hub.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_link_out_of_the_folder_is_refused(
    name, folder, tmp_path, nothing_parsed
):
    shutil.move(folder / name, tmp_path / "outside")
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(hub.MissingFile, match=name):
        hub.load(folder)


def test_a_pipe_is_not_waited_for(folder, nothing_parsed):
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    with pytest.raises(hub.MissingFile, match=r"config\.json"):
        hub.load(folder)


@pytest.mark.parametrize("name", sorted(FILES))
def test_an_oversize_file_is_refused_unread(name, folder, nothing_parsed):
    os.truncate(folder / name, 2**36)  # sparse: reading it would not fit
    with pytest.raises(hub.TooLarge, match=name):
        hub.load(folder)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"a":' * 99 + "1" + "}" * 99,
        "[]",
        "null",
        '"x"',
        "[" * 100_000,
        "1" * 10_000,
        "\udc80",
    ],
    ids=[
        "broken",
        "nest",
        "list",
        "null",
        "text",
        "deep",
        "long number",
        "no utf-8",
    ],
)
@pytest.mark.parametrize("name", ["config.json", "metadata.json"])
def test_broken_json_is_a_format_error(name, text, folder):
    (folder / name).write_text(text, errors="surrogateescape")
    sign(folder)
    with pytest.raises(hub.FormatError, match=name):
        hub.load(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format_version", 2),
        ("format_version", "1"),
        ("format_version", True),
        ("policy", []),
        ("learning_rate", "1.0"),
        ("learning_rate", float("nan")),
        ("learning_rate", {"class_name": "CosineDecay"}),
        ("warmup_steps", -1),
        ("warmup_steps", 2**31),
        ("warmup_steps", True),
        ("warmup_steps", 0.5),
        ("warmup_rate", float("inf")),
        ("warmup_rate", None),
        ("learning_rates", 1.0),
    ],
)
def test_config_outside_the_schema_is_a_format_error(key, value, folder):
    edit_config(folder, lambda config: config.update({key: value}))
    with pytest.raises(
        hub.FormatError, match=key.removesuffix("s").replace("_", ".")
    ):
        hub.load(folder)


def test_config_without_a_key_is_a_format_error(folder):
    edit_config(folder, lambda config: config.pop("warmup_rate"))
    with pytest.raises(hub.FormatError, match="warmup_rate"):
        hub.load(folder)
