"""Text that needs no download: the source code of Python's own library."""

import pathlib
import sysconfig

import numpy as np

#: Modules whose lines are long and many.
MODULES = (
    "argparse", "ast", "configparser", "datetime", "doctest", "imaplib",
    "inspect", "mailbox", "optparse", "pickle", "shutil", "smtplib", "socket",
    "subprocess", "tarfile", "threading", "typing", "zipfile",
)  # fmt: skip


def source(module):
    """The source code of a module of Python's library, a string."""
    folder = pathlib.Path(sysconfig.get_paths()["stdlib"])
    # Some have become packages in later versions of Python.
    for path in (folder / f"{module}.py", folder / module / "__init__.py"):
        if path.is_file():
            return path.read_text("utf-8")
    raise FileNotFoundError(f"Python's library in {folder} has no {module!r}.")


def pieces(lines):
    """Pieces of so many lines each, and the modules that they are from.

    Returns:
        List of strings, in random order, and int32 array of indices into
        `MODULES`.
    """
    texts, labels = [], []
    for label, module in enumerate(MODULES):
        found = [line for line in source(module).splitlines() if line.strip()]
        for begin in range(0, len(found) - lines + 1, lines):
            texts.append("\n".join(found[begin : begin + lines]))
            labels.append(label)
    order = np.random.default_rng(0).permutation(len(texts))
    return [texts[i] for i in order], np.array(labels, "int32")[order]
