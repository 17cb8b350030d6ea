"""The cards in `hub_cards/`: one for each bundled family."""

import json
import pathlib

from keras_l2o.files import whole
from keras_l2o.hub import cards
from keras_l2o.hub import folder as folders
from keras_l2o.hub import json_files
from keras_l2o.hub import names
from keras_l2o.hub.errors import UnknownName

TEMPLATE = "template.md"
#: The folder, beside the cards, with the pictures and results of each family.
FIGURES = "figures"
RESULTS = "results.json"
LARGEST_FIGURE = 2**21


def root():
    """The folder of the cards."""
    return pathlib.Path(__file__).resolve().parent.parent / "hub_cards"


def template():
    return (root() / TEMPLATE).read_text("utf-8")


def families():
    """The bundled families that have replicates, each once."""
    return list(dict.fromkeys(name.split("/")[0] for name in names.bundled()))


def extras(family):
    """What `hub_cards/` says about a family, a `cards.Extras`."""
    written, results = "", {}
    card = root() / f"{family}.md"
    if card.is_file():
        written = cards.written(card.read_text("utf-8")).get(family, "")
    shown = figures(family)
    if RESULTS in shown:
        results = parse_results(shown[RESULTS])
    plots = tuple(
        f"{FIGURES}/{family}/{name}" for name in shown if name.endswith(".png")
    )
    return cards.Extras(written, plots, results)


def figures(family):
    """The pictures and the results of a family: bytes by name."""
    folder = root() / FIGURES / family
    found = [*folder.glob("*.png"), *folder.glob(RESULTS)]
    return {
        path.name: folders.read_file(path, LARGEST_FIGURE)
        for path in sorted(found)
    }


def parse_results(data):
    """The results in a `results.json`, which is not trusted."""
    return cards.check_results(json_files.parse(data, RESULTS))


def known():
    """Dict from the digests of the bundled optimizers to their names."""
    return {
        folders.digest(folders.read(folder)): name
        for name, folder in names.bundled().items()
    }


def card(name):
    """The card of a bundled family, or of one of its replicates alone.

    Args:
        name: String, such as `"min-max"` or `"min-max/3"`.

    Returns:
        String, as the folders and what `hub_cards/` holds are now. The card
        of a replicate has the replicate's own figures, and no pictures: these
        are of the whole family.
    """
    family, alone, _ = name.partition("/")
    entries = []
    for found, folder in names.replicates(family).items():
        if alone and found != name:
            continue
        contents = folders.read(folder)
        metadata = folders.parse_metadata(contents)
        digest = folders.digest(contents)
        entries.append(cards.Entry(found, family, digest, metadata, found))
    if not entries:
        raise UnknownName(
            f"There is no bundled family or optimizer {name!r}. There are: "
            f"{', '.join(families()) or 'none'}."
        )
    more = extras(family)
    return cards.render(
        entries,
        title=name,
        extras={family: more._replace(plots=()) if alone else more},
        template=template(),
        example=name,
        recommended=names.RECOMMENDED if family != names.RECOMMENDED else "",
    )


def write(family, results=None):
    """Writes the card of a bundled family, and keeps its handwritten part.

    Args:
        family: String.
        results: Dict from replicates to dicts from problems to figures, which
            is written to `hub_cards/figures/`. Defaults to `None`, the results
            that are there.

    Returns:
        The path of the card.
    """
    if results is not None:
        folder = root() / FIGURES / family
        text = json.dumps(cards.check_results(results), indent=2) + "\n"
        whole.write(folder / RESULTS, text.encode())
    path = root() / f"{family}.md"
    whole.write(path, card(family).encode())
    return path


def stale():
    """The bundled families whose card is missing or out of date."""
    return [
        family
        for family in families()
        if not (root() / f"{family}.md").is_file()
        or (root() / f"{family}.md").read_text("utf-8") != card(family)
    ]
