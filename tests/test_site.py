"""The documentation's site has a place for every public name and page."""

import ast
import pathlib
import re

import pytest

from keras_l2o.dashboard import site
from tools import api_pages
from tools import check_docs
from tools import docstrings
from tools import site_dashboard
from tools import site_links
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


def test_sections_become_fields_examples_code_and_names_links():
    doc = """First line about `Policy` and `other`.

    an *indented* formula

Args:
    one: Int. A `Policy`
        or two.
    **rest: Others.

Returns:
    A float.

Raises:
    ValueError: It is `None`.

Example:

>>> 1 + 1
2
"""
    link = {"Policy": "keras_l2o.policies.Policy"}.get
    policy = "{py:obj}`Policy <keras_l2o.policies.Policy>`"
    assert docstrings.markdown(doc, link).split("\n\n") == [
        f"First line about {policy} and `other`.",
        "```text\nan *indented* formula\n```",
        f":param one: Int. A {policy}\n    or two.\n"
        r":param \*\*rest: Others.",
        ":returns: A float.",
        ":raises ValueError: It is `None`.",
        "**Example**",
        "```pycon\n>>> 1 + 1\n2\n```",
    ]


def test_a_section_of_readme_ends_at_the_next_heading():
    text = "# A\n\na\n\n## B\n\n```\n# no heading\n```\nb\n\n### C\n\nc\n"
    assert site_pages.section(text, "B") == "```\n# no heading\n```\nb\n"
    with pytest.raises(ValueError, match="no section 'D'"):
        site_pages.section(text, "D")


def test_readme_has_the_sections_that_pages_include():
    readme = (DOCS.parent / "README.md").read_text("utf-8")
    for title in site_pages.SECTIONS.values():
        assert site_pages.section(readme, title)


def test_readme_is_short_and_whole_on_a_package_index():
    text = (DOCS.parent / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 250
    # An index has none of the repository's files.
    targets = re.findall(r"\[[^\]]*\]\(([^)]+)\)", text)
    assert targets
    assert [t for t in targets if not t.startswith("https://")] == []
    assert "<img" not in text


def test_links_that_lead_nowhere_are_found(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a b.css").write_text("")
    (tmp_path / "a.html").write_text(
        '<link href="a%20b.css"><a href="b/c.html#here">'
        '<a href="#"><a href="https://example.org/x"><a href="b/c.html#x=1">'
        '<a href="gone.html"><a href="b/c.html#there"><a href="#nowhere">'
    )
    (tmp_path / "b" / "c.html").write_text('<p id="here"><img src="../d.png">')
    assert site_links.broken(tmp_path) == [
        ("a.html", "#nowhere"),
        ("a.html", "b/c.html#there"),
        ("a.html", "gone.html"),
        ("b/c.html", "../d.png"),
    ]


def test_links_of_the_repository_lead_to_the_site_or_become_names():
    text = "[a](unseen/README.md) [b](held_out) ![c](d.png) [e](f/g.py) [h](#i)"
    assert site_pages.relinked(text, pathlib.PurePosixPath()) == (
        "[a](/generated/unseen.md) [b](/generated/held_out.md) "
        "![c](/../d.png) e (`f/g.py`) [h](#i)"
    )


def test_a_policy_is_distilled_and_published_in_under_40_lines():
    text = PAGES["guides/publish"]
    (cell,) = re.findall(r"(?s):name: stranger\n\n(.*?)```", text)
    ast.parse(cell)
    assert len(cell.strip().splitlines()) < 40
    for name in ("Hub(", "MetaTrainer(", "publish(", "from_hub(", "evaluate("):
        assert name in cell


@pytest.mark.parametrize(
    "guide",
    [
        "quickstart",
        "guides/character_transformer",
        "guides/distil",
        "guides/fine_tuning",
        "guides/own_policy",
        "guides/private",
        "guides/publish",
        "guides/tuner",
    ],
)
def test_guides_are_run_when_the_site_is_built(guide):
    assert PAGES[guide].startswith("---\nfile_format: mystnb\n")
    assert "```{code-cell} python\n" in PAGES[guide]


def test_code_in_guides_can_be_read():
    for text in PAGES.values():
        for cell in re.findall(r"(?s)```\{code-cell\} python\n(.*?)```", text):
            lines = [
                x for x in cell.splitlines() if not x.startswith((":", "!"))
            ]
            ast.parse("\n".join(lines))


def listed():
    """Everything that a table of contents names."""
    found = {"index"}
    for name, text in PAGES.items():
        folder = pathlib.PurePosixPath(name).parent
        for block in re.findall(r"(?s)```\{toctree\}\n(.*?)```", text):
            lines = [line for line in block.splitlines() if line.strip()]
            pages = [folder / line for line in lines if line[0] != ":"]
            found |= {site_pages.normal(page) for page in pages}
    return found


def test_every_page_is_in_a_table_of_contents():
    assert set(PAGES) <= listed()


def test_a_table_of_contents_names_pages_only():
    made = {f"generated/{name}" for name in site_pages.PAGES.values()}
    assert listed() <= {*PAGES, *made, "generated/api/index"}


def test_the_table_of_optimizers_has_their_figures():
    text = site_pages.optimizers()
    row = text.partition("`min-max-compact/1`")[2].partition("* -")[0]
    figures = [line.partition("-")[2].strip() for line in row.splitlines()[1:5]]
    assert all(figures)


def test_the_page_to_choose_by_looking_has_all_that_is_stored():
    data = site_dashboard.data()
    text = site.text(data)
    assert len(text) < 3_000_000
    assert str(DOCS.parent).encode() not in text
    stored = {
        path
        for name in site_dashboard.STORED
        for path in (DOCS.parent / name).rglob("evaluations/*.npz")
    }
    choice = (DOCS.parent / site_dashboard.CHOICE).glob("*.npz")
    assert len(data["evaluations"]) == len(stored) + len([*choice])
    assert any("pool" in own for own in data["evaluations"])
    learned = {o["name"] for o in data["optimizers"] if o["student"]}
    assert {"min-max/1", data["recommended"]} <= learned


def test_pages_lead_to_the_page_to_choose_by_looking():
    conf = (DOCS / "conf.py").read_text("utf-8")
    assert 'site_dashboard.write(HERE / "generated" / "extra" /' in conf
    for name in ("guides/choose", "guides/command_line", "results/index"):
        assert "../dashboard/index.html#set=unseen" in PAGES[name]
