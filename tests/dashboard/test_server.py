"""The page is served to this machine alone, alive while runs go on."""

import http.client
import json
import signal
import time
import urllib.error
import urllib.request

import pytest
from typer.testing import CliRunner

from keras_l2o import dashboard
from keras_l2o.cli import application
from keras_l2o.dashboard import server as server_module
from keras_l2o.dashboard import site
from tests.commands.processes import Imported
from tests.dashboard import stored
from tests.dashboard.serving import served


@pytest.fixture
def results(tmp_path):
    return stored.everything(tmp_path / "results")


@pytest.fixture
def live(results, monkeypatch):
    monkeypatch.setattr(server_module, "FRESH", 0.0)
    with served(dashboard.Gatherer([results])) as server:
        yield server


def get(server, path, **headers):
    connection = http.client.HTTPConnection(
        "127.0.0.1", server.server_port, timeout=30
    )
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def test_the_page_and_its_files_are_served(live):
    for name in ("", *site.FILES, "data.js"):
        status, body, headers = get(live, f"/{name}")
        assert status == 200
        assert body
        assert headers["Content-Security-Policy"].startswith("default-src")
    assert get(live, "/")[2]["Content-Type"] == "text/html; charset=utf-8"


def test_nothing_else_is_served(live):
    for path in ("/results", "/../setup.cfg", "/%2e%2e/setup.cfg", "//etc"):
        assert get(live, path)[0] == 404


def test_data_are_sent_again_only_if_they_have_changed(live, results):
    status, body, headers = get(live, "/data.json")
    data = json.loads(body)
    assert (status, data["live"]) == (200, True)
    same = {"If-None-Match": headers["ETag"]}
    assert get(live, "/data.json", **same)[:2] == (304, b"")
    stored.run(results / "mine", periods=9)
    status, body, _ = get(live, "/data.json", **same)
    assert status == 200
    assert json.loads(body)["runs"][0]["periods"] == 9


def test_a_folder_that_is_gone_ends_nothing(live, results):
    results.rename(results.with_name("elsewhere"))
    status, body, _ = get(live, "/data.json")
    assert status == 200
    assert json.loads(body)["evaluations"] == []


def test_other_machines_and_pages_under_other_names_get_nothing(live):
    assert live.server_address[0] == "127.0.0.1"
    assert get(live, "/data.json", Host="evil.example:80")[0] == 421
    assert get(live, "/", Host=f"localhost:{live.server_port}")[0] == 200


def test_a_port_that_is_taken_is_an_error(live):
    with pytest.raises(ValueError, match=r"Give another with\s+--port"):
        dashboard.Server(live.gatherer, live.server_port)


def test_the_command_writes_a_page(results, tmp_path):
    arguments = ["dashboard", str(results), f"--output={tmp_path / 'page'}"]
    result = CliRunner().invoke(application, arguments)
    assert result.exit_code == 0, result.exception
    assert result.output == f"wrote {tmp_path / 'page' / 'index.html'}\n"
    assert (tmp_path / "page" / "data.js").is_file()


@pytest.mark.parametrize("place", ["empty", "missing"])
def test_the_command_says_where_there_is_nothing(tmp_path, place):
    (tmp_path / "empty").mkdir()
    error = (
        CliRunner()
        .invoke(application, ["dashboard", str(tmp_path / place)])
        .exception
    )
    assert isinstance(error, ValueError)
    assert place in str(error)


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_the_command_serves_until_it_is_interrupted(
    results, tmp_path, number, code, word
):
    (tmp_path / "printed").mkdir()
    imported = Imported(tmp_path / "printed")
    try:
        process = imported.start(
            "dashboard", str(results), "--port=0", "--no-browser"
        )
        deadline = time.monotonic() + 120
        while "page: " not in (printed := text_of(process)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        address = printed.split()[1]
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert b"Choose an optimizer" in answer.read()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        imported.close()
    assert process.returncode == code
    assert errors.splitlines()[-1] == f"{word}: the page is not served any more"
    assert "Traceback" not in errors
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=5)


def text_of(process):
    return process.path.read_text() if process.path.exists() else ""
