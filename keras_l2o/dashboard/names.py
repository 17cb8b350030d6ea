"""What an optimizer that was evaluated is called, told from where it lies."""

import pathlib
from typing import Any
from typing import NamedTuple

#: Folders of one rule in several settings, as `benchmarks/unseen` has them.
SETTINGS = ("default", "single", "tuned")
#: Folder of the rates that a search has tried.
SEARCH = "gridsearch"


class Name(NamedTuple):
    """What an optimizer is called.

    Attributes:
        name: String, such as `"min-max/1"` or `"adam 0.005"`.
        family: String, the part that its replicates or settings share.
        kind: `"learned"`, `"rule"`, or `"search"` for a rule at a rate that a
            search has tried.
    """

    name: str
    family: str
    kind: str


def named(
    file: pathlib.Path, root: pathlib.Path, settings: dict[str, Any]
) -> Name:
    """The name of the optimizer of a stored evaluation.

    Args:
        file: Path of the evaluation.
        root: Path of the directory that it was found in.
        settings: Dict, the evaluation's settings.

    Returns:
        A `Name`.
    """
    if settings.get("rule"):
        searched = SEARCH in file.parts
        kind = "search" if searched else "rule"
        return Name(settings["optimizer"], settings["rule"], kind)
    if file.parent.name == "evaluations":
        place = file.parent.parent
        parts = (place if place == root else place.relative_to(root)).parts
        parts = parts or (settings["optimizer"],)
        if len(parts) == 1:  # the root's own name is a family's
            parts = place.absolute().parts[-2:]
    else:
        parts = pathlib.PurePath(settings["optimizer"]).parts
    if parts[-1] in SETTINGS:
        return Name("/".join(parts[-2:]), parts[-2], "rule")
    if parts[-1][0].isdigit() and len(parts) > 1:
        return Name("/".join(parts[-2:]), parts[-2], "learned")
    return Name(parts[-1], parts[-1], "learned")
