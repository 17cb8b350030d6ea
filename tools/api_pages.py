"""The pages of the API reference, made from the package itself.

There is a page for each public module, with everything that
`tools/check_docs.py` counts as public. `tools/site_pages.py` writes them.
"""

import importlib
import inspect
import pathlib
import re
from typing import NamedTuple

import keras_l2o
from tools import api_backend
from tools import check_docs
from tools import docstrings


class Page(NamedTuple):
    """A page of the reference.

    Attributes:
        text: String, MyST Markdown.
        names: Dict from the names that the page documents, as
            `check_docs.public_names` has them, to what the page calls them.
    """

    text: str
    names: dict[str, str]


class Entry(NamedTuple):
    """A public name, and where it is documented.

    Attributes:
        name: String, the full name by which users reach it.
        value: What it names.
    """

    name: str
    value: object


def modules():
    """All public modules, each after the one that it is in."""
    found = {}

    def add(module):
        if module.__name__ not in found:
            found[module.__name__] = module
            for name in check_docs._names(module):
                value = getattr(module, name)
                if inspect.ismodule(value):
                    add(value)

    for name in check_docs.MODULES:
        add(importlib.import_module(name))
    return found


def entries():
    """Dict from modules' names to a list of the `Entry`s of their page.

    What several modules have is documented in the first of them.
    """
    taken, found = {}, {}
    for module in modules().values():
        own = found.setdefault(module.__name__, [])
        for name in check_docs._names(module):
            value = getattr(module, name)
            if not inspect.ismodule(value):
                key = id(value) if _is_documented(value) else (module, name)
                full = f"{module.__name__}.{name}"
                own.append(Entry(taken.setdefault(key, full), value))
    return found


def _is_documented(value):
    """Whether it has a docstring of its own, and not a comment with `#:`."""
    ours = inspect.isclass(value) and check_docs._is_ours(value)
    return ours or inspect.isfunction(value)


class Links:
    """Finds what the code in a docstring names."""

    def __init__(self, found):
        self.names, self.short = set(found), {}
        for entries in found.values():
            for entry in entries:
                self.names.add(entry.name)
                short = entry.name.rpartition(".")[2]
                self.short.setdefault(short, set()).add(entry.name)

    def within(self, module, members=(), hidden=()):
        """The function `link` of `docstrings.markdown` for a place.

        Args:
            module: String, the module's name.
            members: Dict from the names of a class's members to their full
                names. Defaults to none.
            hidden: Names that mean something else here, such as those of
                arguments. Defaults to none.
        """

        def link(code):
            code = code.removesuffix("()")
            if not re.fullmatch(r"[A-Za-z_][\w.]*", code) or code in hidden:
                return None
            if code in members:
                return members[code]
            for full in (code, f"keras_l2o.{code}", f"{module}.{code}"):
                if full in self.names and full != module:
                    return full if "." in full else None
            found = self.short.get(code, ())
            if len(found) == 1 and code[0].isupper():
                return next(iter(found))
            return None

        return link


def pages():
    """All pages: dict from the names of files, without suffix, to `Page`s."""
    found = entries()
    links = Links(found)
    made = {}
    for name in found:
        top = ".".join(name.split(".")[:2])
        # Where the package itself has no public name, its modules have.
        first = Page("" if top in found else f"# {top}\n\n", {})
        text, names = _module(name, found[name], links, level=1 + (name != top))
        old = made.get(top, first)
        made[top] = Page(f"{old.text}{text}\n", old.names | names)
    made["keras_l2o.backend"] = Page(*api_backend.page(links))
    return made


def _module(name, own, links, level):
    module = importlib.import_module(name)
    link = links.within(name)
    parts = [
        f"{'#' * level} {name}",
        f"```{{py:module}} {name}\n```",
        docstrings.markdown(inspect.getdoc(module) or "", link),
    ]
    if own:
        parts.append(_table(own, link))
    names = {name: name}
    for entry in own:
        if entry.name.rpartition(".")[0] == name:
            text, more = _entry(entry, links)
            parts.append(text)
            names |= more
        else:
            names[_key(entry)] = entry.name
    return "\n\n".join(parts) + "\n", names


def _table(own, link):
    lines = ["```{list-table}", ":widths: 30 70", ""]
    for entry in own:
        short = entry.name.rpartition(".")[2]
        if _is_documented(entry.value):
            doc = inspect.getdoc(entry.value) or ""
        else:
            doc = _comment(short)
        first = docstrings.markdown(doc.split("\n\n")[0], link)
        lines.append(f"* - {{py:obj}}`{short} <{entry.name}>`")
        lines.append(f"  - {' '.join(first.split())}")
    return "\n".join([*lines, "```"])


def _key(entry):
    """A name as `check_docs.public_names` has it."""
    value = entry.value
    if _is_documented(value):
        return f"{value.__module__}.{value.__qualname__}"
    return entry.name


def _entry(entry, links):
    value, (module, _, short) = entry.value, entry.name.rpartition(".")
    if inspect.isclass(value) and _is_documented(value):
        return _class(entry, links)
    key = _key(entry)
    if inspect.isfunction(value):
        doc, signature = inspect.getdoc(value) or "", inspect.signature(value)
        link = links.within(module, hidden=signature.parameters)
        body = docstrings.markdown(doc, link)
        head = f"{short}{shown(signature)}"
        canonical = None if key == entry.name else key
        text = directive("py:function", head, body, canonical)
    else:
        body = docstrings.markdown(_comment(short), links.within(module))
        text = directive("py:data", short, body)
    return text, {key: entry.name}


def _class(entry, links):
    cls, (module, _, short) = entry.value, entry.name.rpartition(".")
    key = _key(entry)
    members, names = _members(entry, links)
    error = issubclass(cls, BaseException)
    signature = inspect.Signature() if error else inspect.signature(cls)
    full = {name: f"{entry.name}.{name}" for name in members}
    link = links.within(module, full, signature.parameters)
    tuple_like = hasattr(cls, "_fields")
    kind = "param" if tuple_like else "ivar"
    parts = [_bases(cls, link)]
    parts.append(docstrings.markdown(inspect.getdoc(cls) or "", link, kind))
    parts += [_member(cls, *item, link) for item in members.items()]
    directive_name = "py:exception" if error else "py:class"
    head = short + ("" if error else shown(signature))
    body = "\n\n".join(part for part in parts if part)
    canonical = None if key == entry.name else key
    return directive(directive_name, head, body, canonical, 5), {
        key: entry.name,
        **names,
    }


def _bases(cls, link):
    found = []
    for base in cls.__bases__:
        name = link(base.__name__) if check_docs._is_ours(base) else None
        if name:
            found.append(f"{{py:obj}}`{base.__name__} <{name}>`")
        elif base.__module__.startswith("keras."):
            found.append(f"Keras's `{base.__name__}`")
    return f"Derives from {' and '.join(found)}." if found else ""


def _members(entry, links):
    """The methods and properties that a class documents.

    They are its own, and those of bases that have no entry.

    Returns:
        Dict of them by name, and the part of `Page.names` about them.
    """
    found, names = {}, {}
    for base in filter(check_docs._is_ours, entry.value.__mro__):
        if base is not entry.value and base.__name__ in links.short:
            continue
        for name, value in vars(base).items():
            if name.startswith("_"):
                continue
            if check_docs._member_faults(base, name, value) is not None:
                key = f"{base.__module__}.{base.__qualname__}.{name}"
                names[key] = f"{entry.name}.{name}"
                found.setdefault(name, value)
    return found, names


def _member(cls, name, value, link):
    doc = check_docs._inherited_doc(cls, name)
    if doc is check_docs._OF_KERAS:
        doc = "As in Keras's class of which this one is derived."
    kind, options = "py:method", []
    if isinstance(value, property):
        kind, head = "py:property", name
    else:
        if isinstance(value, classmethod):
            options.append(":classmethod:")
        elif isinstance(value, staticmethod):
            options.append(":staticmethod:")
        function = inspect.unwrap(getattr(value, "__func__", value))
        signature = inspect.signature(function)
        first = () if isinstance(value, staticmethod) else ("self", "cls")
        kept = [p for p in signature.parameters.values() if p.name not in first]
        head = name + shown(signature.replace(parameters=kept))
    body = docstrings.markdown(doc or "", link)
    return directive(kind, head, body, fence=4, options=options)


def directive(kind, head, body, canonical=None, fence=4, options=()):
    """A directive of Sphinx's Python domain, as MyST writes it."""
    lines = list(options)
    if canonical:
        lines.append(f":canonical: {canonical}")
    text = "\n".join([f"{{{kind}}} {head}", *lines])
    return f"{'`' * fence}{text}\n\n{body}\n{'`' * fence}"


def shown(signature):
    """The text of a signature, without types, which the docstring has."""
    parameters = []
    for parameter in signature.parameters.values():
        default = parameter.default
        if default is not parameter.empty and not _is_plain(default):
            default = _Name(getattr(default, "__name__", "..."))
        parameters.append(
            parameter.replace(annotation=parameter.empty, default=default)
        )
    empty = inspect.Signature.empty
    return str(
        signature.replace(parameters=parameters, return_annotation=empty)
    )


class _Name(str):
    """A default that is shown by its name."""

    def __repr__(self):
        return str(self)


def _is_plain(value):
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str, dict)


def _comment(name):
    """The comment with `#:` before a constant of this name."""
    pattern = re.compile(rf"(?m)^((?:#: .*\n)+){re.escape(name)}\b.*=")
    for path in pathlib.Path(keras_l2o.__file__).parent.rglob("*.py"):
        match = pattern.search(path.read_text("utf-8"))
        if match:
            return re.sub(r"(?m)^#: ", "", match[1]).strip()
    return ""


def texts():
    """The text of each page, with an index: dict by names of files."""
    made = {name: page.text for name, page in pages().items()}
    return {"index": _INDEX.format(lines="\n".join(made)), **made}


_INDEX = """# API reference

Every public name, from its docstring. The names in the examples that no line
defines are these: `keras`, `keras_l2o`, `np` for NumPy, `model` for a small
Keras model, `x` and `y` for its data, and `trainer` for a `MetaTrainer`.

```{{toctree}}
:maxdepth: 1

{lines}
```
"""
