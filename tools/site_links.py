"""Finds links within the built site that lead nowhere.

    python tools/site_links.py docs/_build/html

Sphinx checks its own references, not what raw HTML, themes and the page to
choose by looking link to. The exit status is 0 if every file and every place in
a page that is linked to is there. Links to other sites are `make docs-links`.
"""

import html.parser
import pathlib
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    """The places in a page and what it links to.

    Args:
        text: String, HTML.
    """

    def __init__(self, text):
        super().__init__()
        self.places, self.links = {"", "top"}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.places.add(found.get("id"))
        links = (found.get(name) for name in ("href", "src"))
        self.links += [link for link in links if link]


def broken(folder):
    """Links of the site in a folder that lead nowhere.

    Args:
        folder: Path.

    Returns:
        List of pairs of strings, the page and the link.
    """
    root = pathlib.Path(folder).resolve()
    pages = {
        path: Page(path.read_text("utf-8")) for path in root.rglob("*.html")
    }
    found = []
    for path, page in pages.items():
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            name = urllib.parse.unquote(parts.path)
            target = (path.parent / name).resolve() if name else path
            # What follows the mark of the page to choose is its choice.
            choice = "=" in parts.fragment
            if not target.exists() or (
                target in pages
                and not choice
                and parts.fragment not in pages[target].places
            ):
                found.append((path.relative_to(root).as_posix(), link))
    return sorted(set(found))


def main():
    (folder,) = sys.argv[1:]
    found = broken(folder)
    for page, link in found:
        print(f"{page} links to {link}, which is not there.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
