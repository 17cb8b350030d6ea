"""Prints constraints for the lowest versions that the metadata allow.

    python3 tools/lowest.py > lowest.txt

Each `package>=version` in `setup.cfg`, of the package itself and of all its
extras, becomes `package==version`. What these packages need in turn is left
to pip, which takes the newest that they agree to.
"""

import configparser
import pathlib
import re
import sys

SETUP = pathlib.Path(__file__).parent.parent / "setup.cfg"


def requirements(text):
    """Every line with a requirement in the text of a `setup.cfg`."""
    config = configparser.ConfigParser()
    config.read_string(text)
    lists = [
        config["options"]["install_requires"],
        *config["options.extras_require"].values(),
    ]
    return [line for lines in lists for line in lines.splitlines() if line]


def lowest(lines):
    """The constraint for each requirement, in the order of their names.

    Args:
        lines: List of strings such as `"numpy>=2.0.0"`, with or without a
            marker behind a semicolon.

    Returns:
        List of strings such as `"numpy==2.0.0"`.

    Raises:
        ValueError: A requirement has no lower bound, or two different ones.
    """
    found = {}
    for line in lines:
        if re.match(r"keras-l2o\b", line):  # an extra that takes in another
            continue
        match = re.fullmatch(
            r"([\w.-]+)(?:\[[\w,-]+\])?\s*>=\s*([\w.]+)[^;]*(;.*)?", line
        )
        if match is None:
            raise ValueError(
                "A requirement in setup.cfg must have a lower bound, such as "
                f"`package>=1.2`. Received: {line!r}"
            )
        name, version, marker = match.groups(default="")
        constraint = f"{name}=={version}{marker}"
        if found.setdefault(name, constraint) != constraint:
            raise ValueError(
                "A requirement in setup.cfg must have one lower bound in all "
                f"places. Received: {found[name]!r} and {constraint!r}"
            )
    return [found[name] for name in sorted(found, key=str.lower)]


if __name__ == "__main__":
    sys.stdout.writelines(
        f"{line}\n" for line in lowest(requirements(SETUP.read_text("utf-8")))
    )
