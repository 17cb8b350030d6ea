"""`from_hub("hf://...")`, by the Hub's own client from a real server."""

import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import hub
from keras_l2o.hub import remote
from tests.hub.server import Hub
from tests.hub.server import Repository

FILES = {"config.json", "metadata.json", "policy.weights.h5", "SHA256SUMS"}
NAME = "hf://org/repo/min-max/3"


def fill(server, folder, where="min-max/3", name="org/repo", **more):
    """Puts a folder into a repository, beside what is nobody's business."""
    repository = server.repositories.setdefault(name, Repository())
    files = {"evil.py": b"raise SystemExit", "min-max/3/huge.bin": b"0" * 999}
    for path in folder.iterdir():
        files["/".join(filter(None, [where, path.name]))] = path.read_bytes()
    return repository.change({**files, **more})


def weights(optimizer):
    return [value.tobytes() for value in optimizer.policy.get_weights()]


@pytest.fixture
def filled(hub_server, folder):
    hub_server.first_commit = fill(hub_server, folder)
    return hub_server


@pytest.mark.quick
def test_a_repository_gives_the_optimizer_that_was_put_there(filled, optimizer):
    loaded = keras_l2o.from_hub(NAME, weight_decay=0.1)
    assert weights(loaded) == weights(optimizer)
    assert float(loaded.learning_rate) == pytest.approx(0.7)
    assert loaded.weight_decay == 0.1
    assert loaded.source == f"{NAME}@{filled.first_commit}"


def test_only_the_four_files_are_downloaded(filled):
    keras_l2o.from_hub(NAME)
    downloads = filled.asked("GET .*/resolve/.*")
    assert {path.rsplit("/", 1)[-1] for path in downloads} == FILES
    assert len(downloads) == len(FILES)
    # and each after its size was known
    assert set(downloads) <= {
        path.replace("HEAD", "GET") for path in filled.asked("HEAD .*")
    }


def test_a_folder_at_the_root_of_a_repository(hub_server, folder):
    commit = fill(hub_server, folder, where="")
    assert keras_l2o.from_hub("hf://org/repo").source == (
        f"hf://org/repo@{commit}"
    )


def test_a_commit_gives_what_it_always_gave(filled, folder):
    first = filled.first_commit
    other = keras_l2o.LearnedOptimizer(keras_l2o.policies.Adam(0.5))
    keras_l2o.save(other, folder, overwrite=True)
    second = fill(filled, folder)
    filled.repositories["org/repo"].branches["v/1"] = first
    for revision, commit, kind in [
        (None, second, "Adam"),
        ("main", second, "Adam"),
        (first, first, "RNNProp"),
        ("v/1", first, "RNNProp"),
    ]:
        loaded = keras_l2o.from_hub(NAME, revision=revision)
        assert type(loaded.policy).__name__ == kind
        assert loaded.source == f"{NAME}@{commit}"


@pytest.mark.backend
def test_a_saved_model_says_which_optimizer_trained_it(filled, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras_l2o.from_hub(NAME), "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.source == f"{NAME}@{filled.first_commit}"
    assert loaded.optimizer.get_config()["source"] == loaded.optimizer.source


def test_a_second_load_downloads_nothing(filled):
    keras_l2o.from_hub(NAME)
    filled.requests.clear()
    keras_l2o.from_hub(NAME)
    asked = {path for _, path, _ in filled.requests}
    assert asked == {"/api/models/org/repo/revision/main"}
    filled.requests.clear()
    keras_l2o.from_hub(NAME, revision=filled.first_commit)
    assert not filled.requests


def test_without_a_network_the_cache_is_used(filled, monkeypatch):
    first = keras_l2o.from_hub(NAME)
    monkeypatch.setenv("HF_ENDPOINT", closed_server())
    assert keras_l2o.from_hub(NAME).source == first.source


def test_in_offline_mode_a_new_process_uses_the_cache(filled):
    source = keras_l2o.from_hub(NAME).source
    filled.requests.clear()
    code = f"import keras_l2o; print(keras_l2o.from_hub({NAME!r}).source)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert result.stdout.strip().endswith(source), result.stderr
    assert not filled.requests


def closed_server():
    server = Hub()
    server.close()
    return server.url


def quickly(expected, *arguments, match=None, seconds=5, **options):
    start = time.monotonic()
    with pytest.raises(expected, match=match) as caught:
        keras_l2o.from_hub(*arguments, **options)
    assert type(caught.value) is expected
    assert time.monotonic() - start < seconds
    return str(caught.value)


def test_no_network_and_nothing_cached(hub_server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", closed_server())
    quickly(hub.Unreachable, NAME, match="could not be reached")


def test_a_hub_that_is_down(filled):
    filled.down = True
    quickly(hub.Unreachable, NAME, match="could not be reached")


@pytest.mark.parametrize("revision", [None, "0" * 40])
def test_a_hub_that_never_answers(revision, hub_server, monkeypatch):
    monkeypatch.setattr(remote, "SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        quickly(hub.Unreachable, NAME, revision, match="timed out", seconds=9)


def test_a_missing_repository(hub_server, logged_in):
    quickly(hub.MissingRepository, NAME, match=r"hf://org/repo.*private")


def test_a_private_repository(filled, monkeypatch):
    filled.repositories["org/repo"].private = True
    quickly(hub.MissingRepository, NAME, match="hf auth login")
    monkeypatch.setenv("HF_TOKEN", "hf_member")
    keras_l2o.from_hub(NAME)


def test_a_gated_repository(filled, monkeypatch):
    filled.repositories["org/repo"].gated = True
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    text = quickly(hub.GatedRepository, NAME, match="Ask for access")
    assert "hf_secret" not in text
    monkeypatch.setenv("HF_TOKEN", "hf_member")
    keras_l2o.from_hub(NAME)


@pytest.mark.parametrize("revision", ["v9", "0" * 40])
def test_a_missing_revision(revision, filled):
    quickly(hub.MissingRevision, NAME, revision, match=revision)


def test_a_folder_that_is_not_in_the_repository(filled):
    quickly(hub.MissingFile, "hf://org/repo/min-max/4", match="min-max/4")


def test_a_file_that_is_not_in_the_folder(filled, folder):
    filled.repositories["org/repo"].change({"min-max/3/config.json": None})
    quickly(hub.MissingFile, NAME, match=r"config\.json")


@pytest.mark.parametrize("name", sorted(FILES - {"SHA256SUMS"}))
def test_a_digest_mismatch(name, filled):
    files = filled.repositories["org/repo"].files()
    data = files[f"min-max/3/{name}"] + b" "
    filled.repositories["org/repo"].change({f"min-max/3/{name}": data})
    quickly(
        hub.DigestError,
        NAME,
        match=rf"hf://org/repo@\w+/min-max/3/{name} is corrupt",
    )


def test_a_damaged_cache_says_what_to_delete(filled):
    keras_l2o.from_hub(NAME)
    (cached,) = cache().rglob("snapshots/*/min-max/3/config.json")
    cached.resolve().write_bytes(b"{}")
    text = quickly(hub.DigestError, NAME, match="delete")
    assert str(cache()) in text


def cache():
    return pathlib.Path(os.environ["HF_HOME"], "hub", "models--org--repo")


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_that_is_too_large_is_not_downloaded(name, filled):
    filled.sizes[f"min-max/3/{name}"] = 2**27
    quickly(hub.TooLarge, NAME, match=name)
    assert not filled.asked(f"GET .*{name}")


@pytest.mark.parametrize(
    "name",
    [
        "hf://",
        "hf://org",
        "hf://org/",
        "hf://org/repo/",
        "hf://org//repo",
        "hf:///org/repo",
        "hf://org/repo/..",
        "hf://org/repo/../../other/repo",
        "hf://org/repo/./min-max",
        "hf://org/../repo/x",
        "hf://org/repo/a\\b",
        "hf://org/repo/a b",
        "hf://org/repo/a%2e%2e",
        "hf://org/repo/a?b",
        "hf://org/repo@main/a",
        "hf://org/repo/a\0",
        "hf://org/repo/" + "a/" * 50,
        "hf://org/repo/" + "a" * 200,
        "hf://or--g/repo",
        "hf://org/re..po",
        "hf://org/repo.git",
    ],
)
def test_an_address_of_another_form_asks_nothing(name, hub_server):
    with pytest.raises(hub.UnknownName):
        keras_l2o.from_hub(name)
    assert not hub_server.requests


@pytest.mark.parametrize(
    "revision", ["", "../x", "a/../b", "/a", "a//b", "-x", "a b", "a\0", 1]
)
def test_a_revision_of_another_form_asks_nothing(revision, filled):
    before = sorted(pathlib.Path(os.environ["HF_HOME"]).rglob("*"))
    with pytest.raises(hub.MissingRevision):
        keras_l2o.from_hub(NAME, revision=revision)
    assert not filled.requests
    assert sorted(pathlib.Path(os.environ["HF_HOME"]).rglob("*")) == before


@pytest.mark.parametrize("where", ["/etc/hostname", "../../../../../x"])
def test_a_link_in_the_cache_that_leads_out_of_it(where, filled):
    keras_l2o.from_hub(NAME)
    (cached,) = cache().rglob("snapshots/*/min-max/3/config.json")
    cached.unlink()
    cached.symlink_to(where)
    outside = pathlib.Path(os.environ["HF_HOME"]).parent / "x"
    if where.startswith(".."):
        cached.unlink()
        outside.write_text("{}")
        cached.symlink_to(outside)
    try:
        quickly(hub.MissingFile, NAME, match="leads out")
    finally:
        outside.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "headers",
    [{"X-Repo-Commit": "../../x"}, {"ETag": '"../../x"'}, {"ETag": '"/x"'}],
    ids=str,
)
def test_a_server_cannot_choose_where_the_cache_writes(headers, filled):
    filled.headers = headers
    quickly(hub.RemoteError, NAME, match="not answered as by a Hub")
    assert not list(pathlib.Path(os.environ["HF_HOME"]).rglob("x"))


def test_a_download_whose_connection_closes_goes_on_by_itself(filled):
    filled.drop("GET .*h5", times=1, reset=False)
    keras_l2o.from_hub(NAME)
    assert len(filled.asked("GET .*h5")) == 2


def test_an_interrupted_download_is_completed_by_the_next_call(filled):
    filled.drop("GET .*h5", times=1, reset=True)
    quickly(hub.Unreachable, NAME)
    assert not list(cache().rglob("*.incomplete"))
    filled.requests.clear()
    keras_l2o.from_hub(NAME)
    again = filled.asked("GET .*/resolve/.*")
    names = [path.rsplit("/", 1)[-1] for path in again]
    assert names == ["policy.weights.h5", "SHA256SUMS"]


def test_what_was_interrupted_is_not_taken_for_whole(filled, monkeypatch):
    filled.drop("GET .*h5", times=1, reset=True)
    quickly(hub.Unreachable, NAME)
    monkeypatch.setenv("HF_ENDPOINT", closed_server())
    quickly(hub.Unreachable, NAME, match="not all that is needed")


def test_two_processes_load_at_once(filled, optimizer):
    code = f"""
import hashlib, keras_l2o
print("ready", flush=True)
input()
optimizer = keras_l2o.from_hub({NAME!r})
for value in optimizer.policy.get_weights():
    print(hashlib.sha256(value.tobytes()).hexdigest())
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "KERAS_BACKEND": "jax"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120) for process in processes]
    assert all(process.returncode == 0 for process in processes), outputs
    assert outputs[0][0] == outputs[1][0] != ""


def test_a_token_is_sent_and_shown_nowhere(filled, monkeypatch, capfd):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    optimizer = keras_l2o.from_hub(NAME)
    assert {token for _, _, token in filled.requests} == {"Bearer hf_secret"}
    output = capfd.readouterr()
    assert "hf_secret" not in output.out + output.err
    assert "hf_secret" not in str(optimizer.get_config())
    for path in pathlib.Path(os.environ["HF_HOME"]).rglob("*"):
        assert not path.is_file() or b"hf_secret" not in path.read_bytes()


def test_addresses_are_read_as_they_are_written():
    address = remote.parse("hf://org/repo/min-max/3")
    assert address == ("org/repo", "min-max/3")
    assert str(address) == "hf://org/repo/min-max/3"
    assert address.path("config.json") == "min-max/3/config.json"
    assert remote.parse("hf://org/repo").path("a") == "a"
    assert re.fullmatch(r"hf://org/repo", str(remote.parse("hf://org/repo")))
