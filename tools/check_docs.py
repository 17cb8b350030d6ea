"""Counts the public names whose documentation lacks something.

    python tools/check_docs.py

prints a line for each such name, and the count; the exit status is 1 unless
the count is zero. A name is public if `__all__` of a public module lists it,
or if it is a method or a property, without a leading underscore, of a class
that is public. It has to have

- a docstring, its own or that of the method it overrides;
- under `Args:` an entry for each parameter, with "Defaults to" in it if the
  parameter has a default;
- `Returns:` or `Yields:` where something is returned;
- annotations of its parameters and of what it returns;
- for classes and functions, an `Example:` with a line of `>>>`, which
  `tests/test_documentation.py` runs.
"""

import ast
import importlib
import inspect
import pathlib
import re
import sys
import typing

import keras_l2o

PACKAGE = pathlib.Path(keras_l2o.__file__).parent

#: Modules whose names are public: those in `__all__`, or, where there is no
#: `__all__`, those that the module defines.
MODULES = (
    "keras_l2o",
    "keras_l2o.callbacks",
    "keras_l2o.cluster",
    "keras_l2o.config",
    "keras_l2o.config.aliases",
    "keras_l2o.config.errors",
    "keras_l2o.config.overrides",
    "keras_l2o.config.presets",
    "keras_l2o.dashboard",
    "keras_l2o.errors",
    "keras_l2o.evaluation",
    "keras_l2o.evaluation.cells",
    "keras_l2o.evaluation.contender",
    "keras_l2o.evaluation.rules",
    "keras_l2o.files.exchange",
    "keras_l2o.files.lock",
    "keras_l2o.files.whole",
    "keras_l2o.hub",
    "keras_l2o.numerics",
    "keras_l2o.perturbations",
    "keras_l2o.policies",
    "keras_l2o.problems",
    "keras_l2o.strategies",
    "keras_l2o.training",
    "keras_l2o.tuner",
    "keras_l2o.typing",
)

_SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Example", "Examples")
_ENTRY = re.compile(r"    (\*{0,2}\w+(?:, \*{0,2}\w+)*):")


class Documented(typing.NamedTuple):
    """A public name.

    Attributes:
        name: String, with the module that defines it.
        doc: String, the docstring without its indentation; may be empty.
        faults: List of strings, what the docstring lacks.
    """

    name: str
    doc: str
    faults: list[str]


def public_names():
    """Everything that is public, each once, as a list of `Documented`."""
    found = {}
    for name in MODULES:
        _add_module(importlib.import_module(name), found)
    return sorted([*found.values(), *_of_backends()])


def _add_module(module, found):
    if module.__name__ in found:
        return
    faults = [] if module.__doc__ else ["a docstring"]
    found[module.__name__] = Documented(
        module.__name__, inspect.getdoc(module) or "", faults
    )
    for name in _names(module):
        value = getattr(module, name)
        if inspect.ismodule(value):
            _add_module(value, found)
        elif inspect.isclass(value) and _is_ours(value):
            _add_class(value, found)
        elif inspect.isfunction(value):
            key = f"{value.__module__}.{value.__qualname__}"
            faults = function_faults(value)
            found[key] = Documented(key, inspect.getdoc(value) or "", faults)
        else:
            key = f"{module.__name__}.{name}"
            faults = [] if _has_comment(name) else ["a comment with `#:`"]
            found[key] = Documented(key, "", faults)


def _names(module):
    if hasattr(module, "__all__"):
        return module.__all__
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and (inspect.isclass(value) or inspect.isfunction(value))
    ]


def _is_ours(cls):
    return cls.__module__.partition(".")[0] == keras_l2o.__name__


def _add_class(cls, found):
    key = f"{cls.__module__}.{cls.__qualname__}"
    if key in found:
        return
    found[key] = Documented(key, inspect.getdoc(cls) or "", class_faults(cls))
    for base in filter(_is_ours, cls.__mro__):
        for name, value in vars(base).items():
            member = f"{base.__module__}.{base.__qualname__}.{name}"
            if not name.startswith("_") and member not in found:
                faults = _member_faults(base, name, value)
                if faults is not None:
                    doc = value.__doc__ or ""
                    found[member] = Documented(
                        member, inspect.cleandoc(doc), faults
                    )


def class_faults(cls):
    """What the docstring of a class lacks: a list of strings."""
    doc = vars(cls).get("__doc__")
    if not doc or _is_made_by_namedtuple(cls, doc):
        return ["a docstring"]
    doc = inspect.cleandoc(doc)
    faults = []
    if not issubclass(cls, BaseException):
        signature = inspect.signature(cls)
        faults += _argument_faults(doc, signature)
        if "__init__" in vars(cls):
            own = inspect.signature(cls.__init__)
            faults += _annotation_faults(own, returns=False)
    return faults + _example_faults(doc)


def function_faults(function):
    """What the docstring of a function lacks: a list of strings."""
    doc = inspect.getdoc(function)
    if not doc:
        return ["a docstring"]
    signature = inspect.signature(function)
    return [
        *_argument_faults(doc, signature),
        *_annotation_faults(signature),
        *_return_faults(doc, signature),
        *_example_faults(doc),
    ]


def _member_faults(cls, name, value):
    """What a method or property lacks; `None` for what is neither."""
    if isinstance(value, property):
        signature = inspect.signature(value.fget)
        faults = [] if _inherited_doc(cls, name) else ["a docstring"]
        return faults + _annotation_faults(signature)
    function = inspect.unwrap(getattr(value, "__func__", value))
    if not inspect.isfunction(function):
        return None
    signature = inspect.signature(function)
    faults = _annotation_faults(signature)
    doc = _inherited_doc(cls, name)
    if not doc:
        return ["a docstring", *faults]
    if doc is not _OF_KERAS:
        faults = [
            *_argument_faults(doc, signature),
            *_return_faults(doc, signature),
            *faults,
        ]
    return faults


#: Stands for documentation of a method that Keras has, and has documented.
_OF_KERAS = "of Keras"


def _inherited_doc(cls, name):
    """A method's docstring, or that of the nearest one that it overrides."""
    for base in cls.__mro__:
        doc = getattr(vars(base).get(name), "__doc__", None)
        if doc:
            return inspect.cleandoc(doc) if _is_ours(base) else _OF_KERAS
    return None


def _is_made_by_namedtuple(cls, doc):
    return doc.startswith(f"{cls.__name__}(") and hasattr(cls, "_fields")


def sections(doc):
    """The sections of a docstring: a dict of their lines by title."""
    found, lines = {}, []
    for line in doc.splitlines():
        title = line.removesuffix(":")
        if line == f"{title}:" and title in _SECTIONS:
            lines = found.setdefault(title, [])
        elif line and not line.startswith((" ", ">>>", "...")):
            lines = []  # prose, or a section that is not looked at
        else:
            lines.append(line)
    return found


def _entries(doc):
    """The text of each entry under `Args:` and `Attributes:`, by name."""
    found, names = {}, []
    by_title = sections(doc)
    for line in by_title.get("Args", []) + by_title.get("Attributes", []):
        if match := _ENTRY.match(line):
            names = match[1].replace("*", "").split(", ")
        for name in names:
            found[name] = f"{found.get(name, '')} {line.strip()}"
    return found


def _parameters(signature):
    return [
        parameter
        for parameter in signature.parameters.values()
        if parameter.name not in ("self", "cls")
        and not parameter.name.startswith("_")
    ]


def _argument_faults(doc, signature):
    entries = _entries(doc)
    faults = []
    for parameter in _parameters(signature):
        text = entries.get(parameter.name)
        optional = parameter.default is not inspect.Parameter.empty
        if text is None:
            faults.append(f"argument `{parameter.name}`")
        elif optional and "Defaults to" not in " ".join(text.split()):
            faults.append(f"default of `{parameter.name}`")
    return faults


def _annotation_faults(signature, returns=True):
    empty = inspect.Parameter.empty
    faults = [
        f"annotation of `{parameter.name}`"
        for parameter in _parameters(signature)
        if parameter.annotation is empty
    ]
    if returns and signature.return_annotation is empty:
        faults.append("annotation of what it returns")
    return faults


def _return_faults(doc, signature):
    nothing = (None, "None", typing.NoReturn, inspect.Parameter.empty)
    if signature.return_annotation in nothing:
        return []
    if {"Returns", "Yields"} & set(sections(doc)):
        return []
    return ["`Returns:`"]


def _example_faults(doc):
    found = sections(doc)
    lines = found.get("Example", []) + found.get("Examples", [])
    if any(line.lstrip().startswith(">>> ") for line in lines):
        return []
    return ["an example"]


def _has_comment(name):
    """Whether a constant of this name has a comment with `#:` before it."""
    pattern = re.compile(rf"(?m)^#: .*\n(?:#: .*\n)*{re.escape(name)}\b.*=")
    return any(
        pattern.search(path.read_text("utf-8"))
        for path in PACKAGE.rglob("*.py")
    )


def _of_backends():
    """The functions and classes of each backend; they need a docstring.

    The files are read and not imported: each needs another backend of Keras.
    """
    found = []
    for path in sorted((PACKAGE / "backend").glob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                continue
            if not node.name.startswith("_"):
                doc = ast.get_docstring(node) or ""
                faults = [] if doc else ["a docstring"]
                name = f"keras_l2o.backend.{path.stem}.{node.name}"
                found.append(Documented(name, doc, faults))
    return found


def main():
    lacking = [found for found in public_names() if found.faults]
    for found in lacking:
        print(f"{found.name} lacks {', '.join(found.faults)}")
    print(f"Public names whose documentation lacks something: {len(lacking)}")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
