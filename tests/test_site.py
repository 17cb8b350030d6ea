"""The documentation's site has a place for every public name and page."""

import pathlib
import re

from tools import api_pages
from tools import check_docs
from tools import site_pages

DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGES = {
    path.relative_to(DOCS).with_suffix("").as_posix(): path.read_text("utf-8")
    for path in DOCS.rglob("*.md")
    if not {"_build", "generated"} & set(path.relative_to(DOCS).parts)
}


def test_every_public_name_has_a_page():
    found = {}
    for page in api_pages.pages().values():
        found |= page.names
    lacking = {name.name for name in check_docs.public_names()} - set(found)
    assert lacking == set()


def listed():
    """Everything that a table of contents names."""
    found = {"index"}
    for name, text in PAGES.items():
        folder = pathlib.PurePosixPath(name).parent
        for block in re.findall(r"(?s)```\{toctree\}\n(.*?)```", text):
            lines = [line for line in block.splitlines() if line.strip()]
            found |= {str(folder / x) for x in lines if x[0] != ":"}
    return found


def test_every_page_is_in_a_table_of_contents():
    assert set(PAGES) <= listed()


def test_a_table_of_contents_names_pages_only():
    made = {f"generated/{name}" for name in site_pages.PAGES.values()}
    assert listed() <= {*PAGES, *made, "generated/api/index"}
