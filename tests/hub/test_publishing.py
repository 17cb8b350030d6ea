"""`publish`, by the Hub's own client to a real server."""

import os
import pathlib

import huggingface_hub
import pytest
from typer.testing import CliRunner

import keras_l2o
from keras_l2o import hub
from keras_l2o.hub import card_files
from keras_l2o.hub import cards
from keras_l2o.hub import publishing
from tests.hub.server import Repository

FILES = ("SHA256SUMS", "config.json", "metadata.json", "policy.weights.h5")

pytestmark = pytest.mark.usefixtures("logged_in")


def held(server, name="org/repo", revision="main"):
    return server.repositories[name].files(revision)


def readme(server):
    return held(server)["README.md"].decode()


def messages(server, name="org/repo"):
    return server.repositories[name].messages[1:]


def test_what_is_published_is_loaded_again(hub_server, folder, optimizer):
    made = keras_l2o.publish(folder, "hf://org/repo/mine/1")
    loaded = keras_l2o.from_hub("hf://org/repo/mine/1")
    assert loaded.source == f"hf://org/repo/mine/1@{made.commit}"
    assert made.url == f"{hub_server.url}/org/repo/commit/{made.commit}"
    for old, new in zip(
        optimizer.policy.get_weights(), loaded.policy.get_weights()
    ):
        assert old.tobytes() == new.tobytes()


def test_one_commit_holds_files_and_card(hub_server, folder):
    made = keras_l2o.publish(folder, "hf://org/repo/mine/1")
    assert len(messages(hub_server)) == 1
    files = held(hub_server)
    expected = {f"mine/1/{name}" for name in FILES} | {"README.md"}
    assert set(files) - {".gitattributes"} == expected == set(made.files)
    for name in FILES:
        assert files[f"mine/1/{name}"] == (folder / name).read_bytes()
    assert made.card == readme(hub_server)
    assert 'from_hub("hf://org/repo/mine/1")' in made.card


def test_a_folder_at_the_root_of_a_repository(hub_server, folder):
    keras_l2o.publish(folder, "hf://org/repo")
    assert set(FILES) < set(held(hub_server))
    assert 'from_hub("hf://org/repo")' in readme(hub_server)
    keras_l2o.from_hub("hf://org/repo")


def test_a_family_and_all_families(hub_server, root):
    keras_l2o.publish(root / "min-max", "hf://org/family/min-max")
    keras_l2o.publish("min-max", "hf://org/named")
    keras_l2o.publish(root, "hf://org/all")
    names = {
        "org/family": ["min-max/1", "min-max/2"],
        "org/named": ["1", "2"],
        "org/all": ["mean/1", "min-max/1", "min-max/2"],
    }
    for name, paths in names.items():
        assert len(messages(hub_server, name)) == 1
        for path in paths:
            keras_l2o.from_hub(f"hf://{name}/{path}")
        files = held(hub_server, name)
        assert len(files) == 4 * len(paths) + 2
        text = files["README.md"].decode()
        assert text.count("| digits.log_loss |") == len(
            {path.rpartition("/")[0] for path in paths}
        )
        assert f'from_hub("hf://{name}/{paths[0]}")' in text


def test_a_bundled_name(hub_server, root):
    keras_l2o.publish("min-max/2", "hf://org/repo")
    assert set(FILES) < set(held(hub_server))


def test_the_repository_lists_what_was_published(hub_server, folder):
    keras_l2o.publish(folder, "hf://org/repo/mine/1")
    api = huggingface_hub.HfApi(endpoint=hub_server.url)
    assert "mine/1/config.json" in api.list_repo_files("org/repo")


def test_the_card_tells_of_all_that_the_repository_holds(hub_server, root):
    keras_l2o.publish(root / "min-max/1", "hf://org/repo/min-max/1")
    hub_server.repositories["org/repo"].change(
        {
            "min-max/9/SHA256SUMS": b"0  config.json\n",
            "min-max/9/config.json": b"{}",
            "min-max/9/metadata.json": b"{}",
            "min-max/9/policy.weights.h5": b"",
        }
    )
    keras_l2o.publish(root / "min-max/2", "hf://org/repo/min-max/2")
    text = readme(hub_server)
    assert "2 learned optimizers" in text
    assert "| val_log_loss | -1.5 | -2 |" in text
    assert "min-max/9" not in text


def test_what_was_written_in_hub_cards_is_published(
    hub_server, root, hub_cards
):
    card = card_files.write("min-max")
    mark = "<!-- written: min-max -->\n"
    card.write_text(card.read_text().replace(mark, f"{mark}Fine on digits."))
    results = {"1": {"conv_train": {"accuracy": 0.97}}}
    card_files.write("min-max", results)
    (hub_cards / "figures/min-max/loss.png").write_bytes(b"picture")
    keras_l2o.publish("min-max", "hf://org/repo")
    files = held(hub_server)
    text = files["README.md"].decode()
    assert "Fine on digits." in text
    assert "| conv_train.accuracy | 0.97 |" in text
    assert "](figures/repo/loss.png)" in text
    assert files["figures/repo/loss.png"] == b"picture"
    # and what is there stays in the card of what comes later
    keras_l2o.publish(root / "mean/1", "hf://org/repo/mean/1")
    later = readme(hub_server)
    assert "| conv_train.accuracy | 0.97 |" in later
    assert "](figures/repo/loss.png)" in later
    assert "Fine on digits." in later


def test_a_card_that_nobody_edited_is_renewed(hub_server, folder, optimizer):
    keras_l2o.publish(folder, "hf://org/repo/mine/1")
    keras_l2o.save(optimizer, folder, {"figures": {"loss": 7}}, overwrite=True)
    made = keras_l2o.publish(folder, "hf://org/repo/mine/1")
    assert "| loss | 7 |" in readme(hub_server) == made.card


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("# org/repo", "# My repository"),
        lambda text: text + "More.\n",
        lambda text: "Mine from the start.\n",
        lambda text: "",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\udcff",
    ],
)
def test_a_card_that_somebody_edited_is_never_overwritten(
    edit, hub_server, folder, optimizer
):
    keras_l2o.publish(folder, "hf://org/repo/mine/1")
    edited = edit(readme(hub_server)).encode("utf-8", "surrogateescape")
    hub_server.repositories["org/repo"].change({"README.md": edited})
    keras_l2o.save(optimizer, folder, {"figures": {"loss": 7}}, overwrite=True)
    made = keras_l2o.publish(folder, "hf://org/repo/mine/1")
    assert made.card is None
    assert held(hub_server)["README.md"] == edited
    metadata = held(hub_server)["mine/1/metadata.json"]
    assert metadata == (folder / "metadata.json").read_bytes()


def test_a_commit_in_between_is_not_overwritten(
    hub_server, folder, monkeypatch
):
    keras_l2o.publish(folder, "hf://org/repo/mine/1")
    make = publishing.repository_card.make

    def slow(*arguments):
        card = make(*arguments)
        hub_server.repositories["org/repo"].change({"README.md": b"edited"})
        return card

    monkeypatch.setattr(publishing.repository_card, "make", slow)
    with pytest.raises(hub.RemoteError):
        keras_l2o.publish(folder, "hf://org/repo/mine/2")
    assert held(hub_server)["README.md"] == b"edited"
    assert "mine/2/config.json" not in held(hub_server)


def test_a_dry_run_sends_nothing(hub_server, folder):
    made = keras_l2o.publish(folder, "hf://org/repo/mine/1", dry_run=True)
    assert hub_server.repositories == {}
    assert {method for method, _, _ in hub_server.requests} == {"GET"}
    assert made.commit is None
    keras_l2o.publish(folder, "hf://org/repo/mine/1")
    assert made.card == readme(hub_server)
    hub_server.requests.clear()
    branch = {"revision": "dev", "dry_run": True}
    keras_l2o.publish(folder, "hf://org/repo/mine/1", **branch)
    assert not hub_server.asked("(POST|PUT) .*")


def test_a_private_repository(hub_server, folder):
    keras_l2o.publish(folder, "hf://org/repo", private=True)
    assert hub_server.repositories["org/repo"].private
    keras_l2o.publish(folder, "hf://org/repo", private=True)
    keras_l2o.publish(folder, "hf://org/repo")
    assert hub_server.repositories["org/repo"].private


def test_nothing_private_goes_to_a_public_repository(hub_server, folder):
    hub_server.repositories["org/repo"] = Repository()
    with pytest.raises(hub.RemoteError, match="public"):
        keras_l2o.publish(folder, "hf://org/repo", private=True)
    assert set(held(hub_server)) == {".gitattributes"}


def test_a_branch_is_made_and_used(hub_server, folder):
    keras_l2o.publish(folder, "hf://org/repo", revision="v/1")
    assert set(held(hub_server)) == {".gitattributes"}
    assert set(FILES) < set(held(hub_server, revision="v/1"))
    keras_l2o.from_hub("hf://org/repo", revision="v/1")
    with pytest.raises(hub.MissingFile):
        keras_l2o.from_hub("hf://org/repo")


def test_publishing_again_adds_no_commit(hub_server, folder):
    first = keras_l2o.publish(folder, "hf://org/repo")
    again = keras_l2o.publish(folder, "hf://org/repo")
    assert again.commit == first.commit
    assert len(messages(hub_server)) == 1


def test_a_folder_that_does_not_load_is_not_sent(hub_server, root):
    (root / "min-max/2/config.json").write_text("{}")
    with pytest.raises(hub.DigestError, match="min-max/2"):
        keras_l2o.publish(root, "hf://org/repo")
    assert not hub_server.requests


def test_what_is_no_optimizer_is_named(hub_server, tmp_path, root):
    with pytest.raises(hub.MissingFile, match="no folder"):
        keras_l2o.publish(tmp_path / "nowhere", "hf://org/repo")
    (tmp_path / "empty").mkdir()
    with pytest.raises(hub.MissingFile, match=r"no config\.json"):
        keras_l2o.publish(tmp_path / "empty", "hf://org/repo")
    with pytest.raises(hub.UnknownName, match="hf://"):
        keras_l2o.publish(root, "org/repo")
    assert not hub_server.requests


def test_a_source_that_may_be_two_things_is_refused(
    hub_server, root, tmp_path, monkeypatch, folder
):
    monkeypatch.chdir(root)
    assert set(publishing.find("min-max")) == {"1", "2"}
    (tmp_path / "elsewhere").mkdir()
    folder.rename(tmp_path / "elsewhere/mean")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(hub.UnknownName, match=r"\./mean"):
        keras_l2o.publish("mean", "hf://org/repo")
    assert set(publishing.find("./mean")) == {""}


def test_nobody_is_logged_in(hub_server, folder, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(hub.AccessDenied, match="hf auth login"):
        keras_l2o.publish(folder, "hf://org/repo")


def test_a_token_that_may_only_read(hub_server, folder, monkeypatch):
    hub_server.repositories["org/repo"] = Repository()
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    with pytest.raises(hub.AccessDenied) as caught:
        keras_l2o.publish(folder, "hf://org/repo")
    assert "hf_reader" not in str(caught.value)


def test_a_hub_that_cannot_be_reached(hub_server, folder, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(hub.Unreachable):
        keras_l2o.publish(folder, "hf://org/repo")


def test_an_upload_whose_connection_is_reset_goes_on(hub_server, folder):
    hub_server.drop("PUT .*", times=1)
    keras_l2o.publish(folder, "hf://org/repo")
    assert len(hub_server.asked("PUT .*")) == 2
    keras_l2o.from_hub("hf://org/repo")


@pytest.mark.parametrize("reset", [True, False])
def test_an_interrupted_upload_is_completed_by_the_next_call(
    reset, hub_server, folder
):
    hub_server.drop("POST .*/commit/.*", times=1, reset=reset)
    with pytest.raises(hub.Unreachable):
        keras_l2o.publish(folder, "hf://org/repo")
    assert set(held(hub_server)) == {".gitattributes"}  # all or nothing
    hub_server.requests.clear()
    keras_l2o.publish(folder, "hf://org/repo")
    assert not hub_server.asked("PUT .*")  # the weights were there already
    keras_l2o.from_hub("hf://org/repo")


def test_a_token_is_sent_and_shown_nowhere(
    hub_server, folder, monkeypatch, capfd
):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    made = keras_l2o.publish(folder, "hf://org/repo")
    output = capfd.readouterr()
    assert "hf_secret" not in output.out + output.err + repr(made)
    for data in held(hub_server).values():
        assert b"hf_secret" not in data
    for path in pathlib.Path(os.environ["HF_HOME"]).rglob("*"):
        assert not path.is_file() or b"hf_secret" not in path.read_bytes()


def run(*arguments):
    from keras_l2o.cli import application

    return CliRunner().invoke(application, arguments, catch_exceptions=False)


def test_the_command_publishes(hub_server, root):
    result = run("publish", str(root), "hf://org/repo", "--dry-run")
    assert "mean/1/config.json" in result.output
    assert "nothing was sent" in result.output
    assert hub_server.repositories == {}
    result = run(
        "publish", "min-max", "hf://org/repo/all", "--private",
        "--revision", "v1", "--message", "First",
    )  # fmt: skip
    assert "published: http" in result.output
    assert hub_server.repositories["org/repo"].private
    assert messages(hub_server) == ["First"]
    assert "all/1/config.json" in held(hub_server, revision="v1")
    assert cards.is_unedited(
        held(hub_server, revision="v1")["README.md"].decode()
    )
    hub_server.repositories["org/repo"].change({"README.md": b"x"}, "v1")
    result = run("publish", "min-max", "hf://org/repo", "--revision", "v1")
    assert "not overwritten" in result.output
