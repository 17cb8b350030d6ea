"""The pages of the site that are made from the package and its results.

    python tools/site_pages.py FOLDER

writes them. `docs/conf.py` does so in each build.
"""

import pathlib
import re
import shlex
import sys

from tools import api_pages

ROOT = pathlib.Path(__file__).parents[1]

#: Files of the repository that are pages of the site, by their paths.
PAGES = {
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "SECURITY.md": "security",
    "benchmarks/recipes.md": "recipes",
    "benchmarks/choice_on_digits/README.md": "choice_on_digits",
    "held_out/README.md": "held_out",
    "unseen/README.md": "unseen",
}
#: Sections of README.md that pages of the site include, by their titles.
SECTIONS = {
    "what_it_is": "What it is",
    "install": "Install",
    "use_an_optimizer": "Use an optimizer",
    "how_good": "How good are they?",
    "data": "Data",
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def texts():
    """All of them: dict from paths without suffix to MyST Markdown."""
    found = {f"api/{name}": text for name, text in api_pages.texts().items()}
    for path, name in PAGES.items():
        text = (ROOT / path).read_text("utf-8")
        if not re.search("(?m)^## ", text):
            text = re.sub("(?m)^### ", "## ", text)
        found[name] = relinked(text, pathlib.PurePosixPath(path).parent)
    readme = (ROOT / "README.md").read_text("utf-8")
    for name, title in SECTIONS.items():
        text = section(readme, title)
        found[f"parts/{name}"] = relinked(text, pathlib.PurePosixPath())
    found["parts/presets"] = presets()
    found["parts/commands"] = commands()
    found["parts/optimizers"] = optimizers()
    found["parts/problems"] = problems()
    found["parts/benchmarks"] = scripts("benchmarks")
    found["parts/examples"] = scripts("examples")
    return found


def section(text, title):
    """A section of a Markdown text, without its heading."""
    pattern = rf"(?ms)^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,6}} |\Z)"
    code = re.compile(r"(?ms)^```.*?^```$")
    # A comment in code begins as a heading does.
    hidden = code.sub(lambda m: m[0].replace("\n#", "\n\0"), text)
    match = re.search(pattern, hidden)
    if match is None:
        raise ValueError(f"README.md has no section {title!r}.")
    return match[2].replace("\0", "#").strip() + "\n"


def relinked(text, folder):
    """Markdown of the repository with links to where the site has it.

    A file that the site does not have is named instead.

    Args:
        text: String.
        folder: `pathlib.PurePosixPath` of the folder that the text is in,
            relative to the repository.
    """

    def replaced(match):
        image, words, target = match.groups()
        if re.match(r"\w+:|#", target):
            return match[0]
        path = target.partition("#")[0]
        path = pathlib.PurePosixPath(normal(folder / path))
        if image:
            return f"![{words}](/../{path})"
        readme = str(path / "README.md")
        name = PAGES.get(str(path)) or PAGES.get(readme)
        if name:
            return f"[{words}](/generated/{name}.md)"
        words = words.strip("`")
        return f"`{words}`" if words == str(path) else f"{words} (`{path}`)"

    return _LINK.sub(replaced, text)


def normal(path):
    """The text of a path, with each `..` taken at its word."""
    parts = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def table(head, rows, widths=None):
    """A table, from lists of cells of Markdown."""
    lines = ["```{list-table}", ":header-rows: 1"]
    if widths:
        lines.append(f":widths: {widths}")
    for row in [head, *rows]:
        for index, cell in enumerate(row):
            lines.append(f"{'  -' if index else chr(10) + '* -'} {cell}")
    return "\n".join([*lines, "```", ""])


def presets():
    """A table of all presets, with what each sets."""
    from keras_l2o.config import PRESETS
    from keras_l2o_commands.presets import fields

    rows = []
    for name, nest in PRESETS.items():
        lines = [" ".join(shlex.split(line)) for line in fields(nest)]
        cell = "\\\n    ".join(f"`{line}`" for line in lines)
        rows.append([f"`{name}`", cell])
    return table(["preset", "what it sets"], rows, "20 80")


def commands():
    """Each command's help, as the command line prints it."""
    import typer

    from keras_l2o_commands.application import application

    group = typer.main.get_command(application)
    parts = []
    for name, command in _commands(group, ()):
        context = typer.Context(command, info_name=f"keras-l2o {name}")
        context.terminal_width = 78
        text = command.get_help(context)
        parts.append(f"## keras-l2o {name}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def _commands(group, path):
    for name, command in group.commands.items():
        here = (*path, name)
        if getattr(command, "commands", None):
            yield from _commands(command, here)
        else:
            yield " ".join(here), command


def optimizers():
    """A table of the optimizers that come with the package."""
    import keras_l2o

    columns = {
        "val_log_loss": "validation, when it was made",
        "conv_fmnist.log_validation_loss": "`conv_fmnist`",
        "mlp_train.log_validation_loss": "`mlp_train`",
        "conv_fmnist.accuracy": "accuracy on `conv_fmnist`",
    }
    frame = keras_l2o.available(figures=True)[["name", *columns]]
    rows = [
        [f"`{name}`", *("" if x != x else f"{x:.3f}" for x in figures)]
        for name, *figures in frame.itertuples(index=False)
    ]
    return table(["name", *columns.values()], rows)


def problems():
    """A table of the problems that have names."""
    from keras_l2o.problems import catalogue

    rows = []
    for name, entry in catalogue.CATALOGUE.items():
        if isinstance(entry, catalogue.Entry):
            what = f"classification of `{entry.dataset}`"
            if entry.noise:
                what += " with noise"
            if entry.private:
                what += ", private"
            length = f"{entry.epochs} epochs of batches of {entry.batch_size}"
        else:
            made = isinstance(entry, catalogue.ProblemEntry)
            what = "small network" if made else "function"
            length = f"{entry.steps} steps"
        rows.append([f"`{name}`", what, length])
    return table(["name", "what it is", "how long a suite trains it"], rows)


def scripts(folder):
    """What each script in a folder of the repository says of itself."""
    import ast

    parts = []
    for path in sorted((ROOT / folder).glob("*.py")):
        text = path.read_text("utf-8")
        doc = ast.get_docstring(ast.parse(text))
        if doc and "__main__" in text:
            parts.append(f"## {path.name}\n\n```text\n{doc}\n```\n")
    return "\n".join(parts)


def write(folder):
    """Writes all of them into a folder.

    Args:
        folder: `pathlib.Path`. A page that has not changed is left alone, so
            that Sphinx does not read it again; a page that is no longer made
            is deleted.
    """
    found = texts()
    for name, text in found.items():
        path = folder / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    for path in folder.rglob("*.md"):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name not in found:
            path.unlink()


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
