"""Docstrings of this package as MyST Markdown, for the API pages of the site.

They are Markdown already, with sections in Google's style. Their sections
become field lists, their examples become code, and the public names that they
mention become links.
"""

import re
import textwrap

_TITLE = re.compile(
    r"(Args|Attributes|Returns|Yields|Raises|Examples?|References?|Notes?):"
)
_ENTRY = re.compile(r"(\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*): ?(.*)")
#: Code in single backticks, also over the end of a line.
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_FIELDS = {"Args": "param", "Attributes": "ivar", "Raises": "raises"}


def markdown(doc, link, attributes="ivar"):
    """A docstring as Markdown.

    Args:
        doc: String, a docstring without its indentation.
        link: Function from the text between two backticks to the full name of
            what it names, or `None`.
        attributes: String, the kind of field that an attribute is. Defaults
            to `"ivar"`.

    Returns:
        String.
    """
    parts = []
    for title, lines in _parts(doc):
        text = "\n".join(lines).strip("\n")
        if title is None:
            parts.append(_prose(text, link))
        elif title in _FIELDS:
            kind = attributes if title == "Attributes" else _FIELDS[title]
            parts.append(_fields(kind, lines, link))
        elif title in ("Returns", "Yields"):
            text = _linked(textwrap.dedent(text), link)
            parts.append(_field(title.lower(), text))
        elif title.startswith("Example"):
            parts.append(f"**{title}**\n\n{_examples(text, link)}")
        else:
            text = _prose(textwrap.dedent(text), link)
            parts.append(f"**{title}**\n\n{text}")
    return "\n\n".join(part for part in parts if part)


def _parts(doc):
    """Pairs of a section's title, `None` for prose, and its lines."""
    parts = [(None, [])]
    for line in doc.splitlines():
        match = _TITLE.fullmatch(line)
        title = parts[-1][0]
        if match:
            parts.append((match[1], []))
            continue
        flush = line and not line[0].isspace()
        if flush and title and not title.startswith("Example"):
            parts.append((None, []))
        parts[-1][1].append(line)
    return [part for part in parts if any(part[1])]


def _fields(kind, lines, link):
    """The entries of a section, each a field."""
    text = textwrap.dedent("\n".join(lines)).strip("\n")
    entries = []
    for line in text.splitlines():
        match = _ENTRY.match(line)
        if match:
            entries.append((match[1], [match[2]]))
        else:
            entries[-1][1].append(line)
    fields = []
    for names, body in entries:
        first, rest = body[0], textwrap.dedent("\n".join(body[1:]))
        text = _linked(f"{first}\n{rest}".strip(), link)
        for name in names.split(", "):
            if kind == "raises":
                name = link(name) or name
            name = name.replace("*", r"\*")
            fields.append(_field(f"{kind} {name}", text))
    return "\n".join(fields)


def _field(name, text):
    return f":{name}: " + textwrap.indent(text, "    ").strip()


def _examples(text, link):
    blocks = []
    for block in re.split(r"\n\s*\n", text):
        if block.startswith(">>>"):
            blocks.append(f"```pycon\n{block}\n```")
        else:
            blocks.append(_prose(block, link))
    return "\n\n".join(blocks)


def _prose(text, link):
    """Paragraphs, in which what is indented is shown as it is."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if block.startswith("    "):
            blocks.append(f"```text\n{textwrap.dedent(block)}\n```")
        else:
            blocks.append(_linked(block, link))
    return "\n\n".join(blocks)


def _linked(text, link):
    def replaced(match):
        code = " ".join(match[1].split())
        name = link(code)
        return f"{{py:obj}}`{code} <{name}>`" if name else match[0]

    return _CODE.sub(replaced, text)
