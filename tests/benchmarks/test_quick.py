"""Ratios beside those that were stored last, and beside their limits."""

import json
import sys

import pytest

from benchmarks import quick

NAMES = ["cnn_general", "mlp_general"]


@pytest.fixture
def stored(tmp_path, monkeypatch):
    path = tmp_path / "quick.json"
    row = {"last": 1.1, "limit": 1.2}
    path.write_text(json.dumps({"tensorflow": {NAMES[0]: row}, "keras_4": {}}))
    monkeypatch.setattr(quick, "STORED", path)
    return path


@pytest.mark.parametrize(("now", "status"), [(1.15, 0), (1.3, 1)])
def test_a_ratio_above_its_limit_is_a_failure(
    stored, monkeypatch, capsys, now, status
):
    monkeypatch.setattr(quick, "measured", lambda _: {NAMES[0]: now})
    monkeypatch.setattr(sys, "argv", ["quick"])
    before = stored.read_bytes()
    assert quick.main() == status
    printed = capsys.readouterr().out
    assert "keras_4 is not installed" in printed
    assert f"{now:.2f}" in printed
    assert "1.1" in printed
    assert printed.endswith(f"above_their_limits = {status}\n")
    assert stored.read_bytes() == before


def test_ratios_are_stored_when_asked_for(stored, monkeypatch):
    found = {NAMES[0]: 1.0, NAMES[1]: 2.0}
    monkeypatch.setattr(quick, "measured", lambda _: found)
    monkeypatch.setattr(sys, "argv", ["quick", "--store"])
    assert quick.main() == 0
    rows = json.loads(stored.read_text())["tensorflow"]
    assert rows[NAMES[0]] == {"last": 1.0, "limit": 1.2}
    assert rows[NAMES[1]] == {"last": 2.0, "limit": None}


def test_the_printout_of_a_benchmark_is_read(monkeypatch):
    lines = ["backend = jax", "cnn_adam_milliseconds = 3.00"]
    lines += ["cnn_general_over_adam = 1.25"]
    script = f"print({chr(10).join(lines)!r})"
    path = quick.SCRIPT.with_name("none.py")
    monkeypatch.setattr(quick, "SCRIPT", path)
    monkeypatch.setattr(
        quick.subprocess, "run", _run_with(script, quick.subprocess.run)
    )
    assert quick.measured("jax") == {"cnn_general": 1.25}


def _run_with(script, run):
    def other(command, **options):
        return run([command[0], "-c", script], **options)

    return other
