"""The workflows of hosted CI call what there is, with few permissions."""

import re

import pytest
import yaml

from tests.building import ROOT

pytestmark = pytest.mark.quick

WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text("utf-8"))
    for path in (ROOT / ".github" / "workflows").glob("*.yml")
}
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def steps(name):
    for job in WORKFLOWS[name]["jobs"].values():
        yield from job["steps"]


def test_there_are_tests_a_site_and_a_publication():
    assert set(WORKFLOWS) == {"tests", "docs", "publish"}
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_command_is_a_target_of_the_makefile(name):
    commands = [step["run"] for step in steps(name) if "run" in step]
    assert commands
    for command in commands:
        target = re.fullmatch(
            r"make ([a-z-]+)(?:\$\{\{ matrix.backend \}\})?", command
        )
        targets = [target[1]]
        if "matrix" in command:
            backends = WORKFLOWS[name]["jobs"]["test"]["strategy"]["matrix"]
            targets = [target[1] + name for name in backends["backend"]]
        for target in targets:
            if target == "docs" and not (ROOT / "docs").is_dir():
                continue
            assert re.search(rf"^{target}:", MAKEFILE, re.M), target


def test_all_three_backends_are_tested():
    matrix = WORKFLOWS["tests"]["jobs"]["test"]["strategy"]["matrix"]
    assert set(matrix["backend"]) == {"tensorflow", "jax", "torch"}


def test_the_index_trusts_the_workflow_and_no_token_is_stored():
    publish = WORKFLOWS["publish"]["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["needs"] == "build"
    text = (ROOT / ".github/workflows/publish.yml").read_text("utf-8")
    assert "secrets." not in text
    # A name that somebody chose does not become a part of a command.
    assert all(
        "github." not in step.get("run", "") for step in steps("publish")
    )
