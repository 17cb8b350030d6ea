"""What JAX has compiled is kept between commands, bounded and whole."""

import os
import pathlib
import subprocess
import sys

import platformdirs
import pytest

from keras_l2o_commands import compiled

PROGRAM = """
from keras_l2o_commands import compiled
compiled.keep()
import jax
from jax import monitoring
found = []
monitoring.register_event_listener(lambda name, **_: found.append(name))
jax.jit(lambda x: 2.0 * x + 1.0)(3.0)
print(sum(name.endswith("/cache_hits") for name in found))
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in [name for name in os.environ if "CACHE" in name]:
        if name.startswith("JAX_"):
            monkeypatch.delenv(name)
    return platformdirs.user_cache_path("keras_l2o")


def hits():
    """How many programs a process found compiled."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "cache" not in run.stderr.lower()
    return int(run.stdout)


def kept(home):
    return sorted(home.rglob("*-cache"))


def test_a_second_process_finds_what_the_first_one_compiled(home):
    assert hits() == 0
    programs = kept(home)
    assert programs
    assert hits() == len(programs)
    assert kept(home) == programs


def test_a_program_that_was_written_half_is_compiled_again(home):
    hits()
    first, *others = kept(home)
    whole = first.stat().st_size
    first.write_bytes(first.read_bytes()[: whole // 2])
    first.with_name(first.name.replace("-cache", "-atime")).unlink()
    assert hits() == len(others)
    # The time that compiling took is in it, which is not the same again.
    assert abs(first.stat().st_size - whole) < 64
    assert hits() == len(others) + 1


def test_it_is_bounded_and_of_this_processor(home):
    environment = {}
    compiled.keep(environment)
    folder = pathlib.Path(environment["JAX_COMPILATION_CACHE_DIR"])
    assert folder == home / "compiled" / compiled.machine()
    assert float(environment["JAX_COMPILATION_CACHE_MAX_SIZE"]) == 1e9


def test_what_the_user_has_set_stays(home):
    for environment in (
        {"JAX_COMPILATION_CACHE_DIR": ""},
        {"JAX_COMPILATION_CACHE_DIR": "/elsewhere"},
    ):
        before = dict(environment)
        compiled.keep(environment)
        assert environment == before
    assert not home.exists()


def test_without_a_place_nothing_is_kept(home):
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file")
    environment = {}
    compiled.keep(environment)
    assert environment == {}
