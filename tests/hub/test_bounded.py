"""A hub that is slow, silent, endless or odd costs seconds, not more."""

import os
import pathlib
import threading
import time

import huggingface_hub
import pytest

import keras_l2o
from keras_l2o import hub
from keras_l2o.hub import bounded
from keras_l2o.hub import remote
from tests.hub import faults
from tests.hub.test_remote import NAME
from tests.hub.test_remote import fill

REVISION = "GET .*/revision/.*"
HEAD = r"HEAD .*/config\.json"
GET = r"GET .*/config\.json"


@pytest.fixture
def filled(hub_server, folder, monkeypatch):
    monkeypatch.setattr(remote, "SECONDS", 1.0)
    monkeypatch.setattr(remote, "TRANSFER_SECONDS", 1.0)
    hub_server.first_commit = fill(hub_server, folder)
    yield hub_server
    hub_server.faults.clear()


def fails(expected, call=None, seconds=5, match=None):
    start = time.monotonic()
    with pytest.raises(expected, match=match) as caught:
        (call or (lambda: keras_l2o.from_hub(NAME)))()
    assert time.monotonic() - start < seconds
    return str(caught.value)


def cached_bytes():
    files = pathlib.Path(os.environ["HF_HOME"]).rglob("*")
    return sum(file.lstat().st_size for file in files)


@pytest.mark.parametrize("request_", [REVISION, HEAD, GET])
@pytest.mark.parametrize(
    "fault",
    [faults.silent, faults.dripping_head, faults.dripping_body],
    ids=lambda fault: fault.__name__,
)
def test_a_hub_that_is_slow_is_out_of_reach(request_, fault, filled):
    if request_ is HEAD and fault is faults.dripping_body:
        pytest.skip("the answer to HEAD has no body")
    filled.faults[request_] = fault
    fails(hub.Unreachable, match=r"hf://org/repo.*timed out")


def test_a_hub_that_falls_silent_between_two_requests(filled):
    filled.faults[REVISION] = lambda handler: (
        filled.faults.update({HEAD: faults.silent}),
        handler.send(*handler.info("org/repo", "main")),
    )
    fails(hub.Unreachable, match="timed out")


@pytest.mark.parametrize(
    "fault", [faults.silent, faults.dripping_head, faults.dripping_body]
)
def test_what_is_cached_is_loaded_from_a_hub_that_is_slow(fault, filled):
    source = keras_l2o.from_hub(NAME).source
    filled.faults[REVISION] = fault
    assert keras_l2o.from_hub(NAME).source == source


def test_the_next_load_is_not_held_up_by_one_that_timed_out(filled):
    filled.faults[GET] = faults.dripping_body
    fails(hub.Unreachable)
    filled.faults.clear()
    time.sleep(0.2)  # until the next byte, which ends it
    keras_l2o.from_hub(NAME)


def test_a_server_cannot_make_the_client_wait(filled, monkeypatch):
    monkeypatch.setattr(remote, "TRANSFER_SECONDS", 5.0)
    filled.faults[GET] = faults.wait_an_hour(1)
    keras_l2o.from_hub(NAME)


@pytest.mark.parametrize(
    "fault",
    [faults.larger, faults.endless],
    ids=lambda fault: fault.__name__,
)
def test_a_file_larger_than_announced_is_cut_off(fault, filled):
    filled.faults[GET] = fault
    fails(hub.TooLarge, match=r"config\.json.*expected")
    time.sleep(0.2)
    assert filled.sent < 2**24
    assert cached_bytes() < 2**16


@pytest.mark.parametrize("fault", [faults.larger, faults.endless])
def test_an_answer_without_an_end_is_cut_off(fault, filled, monkeypatch):
    monkeypatch.setattr(remote, "SECONDS", 20.0)
    filled.faults[REVISION] = fault
    fails(hub.TooLarge, match="16777216", seconds=20)
    assert filled.sent < 2**25


@pytest.mark.parametrize("request_", [REVISION, GET])
def test_what_is_compressed_is_not_unpacked(request_, filled):
    filled.faults[request_] = faults.bomb
    fails(hub.RemoteError, match="compressed")
    assert filled.sent < 2**22


@pytest.mark.parametrize("request_", [REVISION, HEAD, GET])
def test_redirects_in_a_circle_are_a_remote_error(request_, filled):
    filled.faults[request_] = faults.redirected
    fails(hub.RemoteError, match="hf://org/repo")


ODD = [
    None,
    [],
    {},
    "text",
    5,
    {"id": 5},
    {"id": "org/repo", "sha": 5},
    {"id": "org/repo", "sha": None},
    {"id": "org/repo", "sha": ["0" * 40]},
    {"id": "org/repo", "sha": "0" * 39},
    {"id": "org/repo", "sha": "../../x"},
    {"id": "org/repo", "sha": "0" * 40, "siblings": 5},
    {"id": "org/repo", "sha": "0" * 40, "siblings": [{}]},
    {"id": "org/repo", "sha": "0" * 40, "lastModified": "never"},
    {"id": "org/repo", "sha": "0" * 40, "cardData": [1]},
    b"[" * 100_000,
    b"{",
    b"\xff",
]


@pytest.mark.parametrize("value", ODD, ids=lambda value: f"{value!r:.50}")
def test_an_odd_answer_is_a_remote_error(value, filled):
    filled.faults[REVISION] = faults.answers(value)
    fails(hub.HubError)


@pytest.mark.parametrize("value", ODD, ids=lambda value: f"{value!r:.50}")
@pytest.mark.parametrize("status", [200, 404])
def test_an_odd_answer_to_publish_is_a_hub_error(
    value, status, filled, folder, logged_in
):
    filled.faults["GET /api/models/.*"] = faults.answers(value, status)
    fails(hub.HubError, lambda: keras_l2o.publish(folder, "hf://org/repo"))


@pytest.mark.parametrize(
    "request_",
    ["POST .*/preupload/.*", "POST .*/commit/.*", "POST .*/objects/batch"],
)
@pytest.mark.parametrize("value", [None, [], {}, {"files": 5}, b"{"], ids=str)
def test_an_odd_answer_to_an_upload_is_a_hub_error(
    request_, value, filled, folder, logged_in
):
    filled.faults[request_] = faults.answers(value)
    fails(hub.HubError, lambda: keras_l2o.publish(folder, "hf://org/repo"))


@pytest.mark.parametrize(
    "request_", ["GET /api/models/.*", "POST .*/commit/.*", "PUT .*"]
)
def test_publishing_to_a_silent_hub_ends(request_, filled, folder, logged_in):
    filled.faults[request_] = faults.silent
    fails(
        hub.Unreachable,
        lambda: keras_l2o.publish(folder, "hf://org/repo"),
        match="timed out",
    )


def test_others_use_the_hubs_client_as_before(filled, monkeypatch):
    monkeypatch.setattr(remote, "LARGEST_ANSWER", 10)
    fails(hub.TooLarge)
    session = huggingface_hub.get_session()
    count = len(session.event_hooks["request"])
    url = f"{filled.url}/api/models/org/repo"
    assert len(session.get(url).content) > 10
    filled.faults["GET .*"] = lambda handler: handler.send(
        200, b"", {"Retry-After": "7", "Content-Encoding": "gzip"}
    )
    assert session.get(url).headers["retry-after"] == "7"
    fails(hub.RemoteError)
    assert len(session.event_hooks["request"]) == count


def test_work_that_does_not_end_is_not_waited_for():
    never = threading.Event()
    fails(hub.Unreachable, lambda: bounded.run(never.wait, 0.2, 1), seconds=2)
    never.set()


def test_what_the_work_raises_is_raised():
    def work():
        raise KeyError("x")

    fails(KeyError, lambda: bounded.run(work, 5.0, 1))


def test_a_dry_run_needs_no_network(hub_server, folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_member")
    expected = keras_l2o.publish(folder, "hf://me/repo/1", dry_run=True)
    assert expected.note is None
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    made = keras_l2o.publish(folder, "hf://me/repo/1", dry_run=True)
    assert "could not be reached" in made.note
    assert made._replace(note=None) == expected
    (folder / "config.json").write_text("{}")
    with pytest.raises(hub.DigestError):
        keras_l2o.publish(folder, "hf://me/repo/1", dry_run=True)


def test_the_command_says_what_a_dry_run_could_not_look_at(
    hub_server, folder, monkeypatch
):
    from tests.hub.test_publishing import run

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    result = run("publish", str(folder), "hf://me/repo/1", "--dry-run")
    assert result.exit_code == 0
    assert "could not be reached" in result.output
    assert "1/config.json" in result.output


def test_a_cache_that_cannot_be_written_is_a_hub_error(
    filled, monkeypatch, tmp_path
):
    from huggingface_hub import constants

    (tmp_path / "file").touch()
    for cache in (tmp_path / "file", "/proc/self/nowhere"):
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        fails(hub.HubError, match="hf://org/repo")
        fails(
            hub.HubError,
            lambda: keras_l2o.from_hub(NAME, revision=filled.first_commit),
        )
