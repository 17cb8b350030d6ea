"""The page of the API reference about the operations of the backends.

They are read from the files and not imported: each needs another backend of
Keras.
"""

import ast
import pathlib

import keras_l2o
from tools import api_pages
from tools import check_docs
from tools import docstrings

NAME = "keras_l2o.backend"
FOLDER = pathlib.Path(keras_l2o.__file__).parent / "backend"


def page(links):
    """The text of the page, and the names on it."""
    parts = [f"# {NAME}", f"```{{py:module}} {NAME}\n```"]
    module = ast.parse((FOLDER / "__init__.py").read_text("utf-8"))
    parts.append(docstrings.markdown(ast.get_docstring(module), _nothing))
    parts.append(
        "Each backend of Keras has the same operations, in a module of its "
        "own; `keras_l2o.backend` has those of the one that is in use."
    )
    names = {NAME: NAME}
    documented = {found.name: found for found in check_docs._of_backends()}
    stems = sorted({name.split(".")[2] for name in documented})
    for stem in stems:
        module = f"{NAME}.{stem}"
        parts += [f"## {module}", f"```{{py:module}} {module}\n```"]
        for name, node in _nodes(stem).items():
            if name in documented:
                parts.append(_entry(name, node, documented[name], links))
                names[name] = name
    return "\n\n".join(parts) + "\n", names


def _nothing(code):
    """A function `link` that finds nothing."""
    return None


def _nodes(stem):
    tree = ast.parse((FOLDER / f"{stem}.py").read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {
        f"{NAME}.{stem}.{node.name}": node
        for node in tree.body
        if isinstance(node, kinds)
    }


def _entry(name, node, found, links):
    module, _, short = name.rpartition(".")
    if isinstance(node, ast.ClassDef):
        link = links.within(module)
        body = docstrings.markdown(found.doc, link)
        return api_pages.directive("py:class", short, body)
    arguments = node.args
    for argument in [*arguments.args, *arguments.kwonlyargs]:
        argument.annotation = None
    hidden = {argument.arg for argument in arguments.args}
    body = docstrings.markdown(found.doc, links.within(module, hidden=hidden))
    head = f"{short}({ast.unparse(arguments)})"
    return api_pages.directive("py:function", head, body)
