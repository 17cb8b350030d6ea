"""Whether what comes after a long computation is installed, asked before it."""

import importlib.util

#: The distributions that statistics and pictures import, by their modules.
STATISTICS = ("scipy", "statsmodels")
PICTURES = ("matplotlib",)


def require(*modules, extra="plots"):
    """Raises an `ImportError` that names the fix, if a module is missing.

    Nothing is imported: a command asks before it computes what it will need
    them for.

    Args:
        *modules: Names of top-level modules.
        extra: Name of the package's extra that brings them.
    """
    missing = [name for name in modules if not _installed(name)]
    if missing:
        raise ImportError(
            f"This needs {' and '.join(missing)}, which come with an extra: "
            f"pip install 'keras-l2o[{extra}]'"
        )


def _installed(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # the module was put out of reach
        return False
