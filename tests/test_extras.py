"""A missing extra is one line that names it."""

import ast
import configparser
import pathlib
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import keras_l2o
from keras_l2o import evaluation
from keras_l2o import extras
from keras_l2o.cli import application
from keras_l2o.errors import UserError
from keras_l2o.evaluation import plots
from keras_l2o.evaluation import private

ROOT = pathlib.Path(__file__).parent.parent
SETUP = configparser.ConfigParser(delimiters="=")
SETUP.read(ROOT / "setup.cfg")
#: Modules that are not called as their distributions are.
MODULES = {"pillow": "PIL", "scikit_learn": "sklearn"}


@pytest.fixture
def without(monkeypatch):
    """A function that puts all that an extra brings out of reach."""

    def hide(extra):
        for name in extras.MODULES[extra]:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


def test_a_missing_extra_is_an_import_error_and_one_line(without):
    extras.need("plots", "A picture")
    without("plots")
    with pytest.raises(extras.MissingExtra) as caught:
        extras.need("plots", "A picture")
    assert str(caught.value) == (
        "A picture needs the extra 'plots': pip install 'keras-l2o[plots]'"
    )
    assert isinstance(caught.value, (ImportError, UserError))


def test_one_module_of_several_is_enough_to_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels", None)
    with pytest.raises(extras.MissingExtra, match=r"keras-l2o\[evaluation\]"):
        extras.need("evaluation", "It")


USES = {
    "datasets": lambda: keras_l2o.problems.load_dataset("mnist"),
    "evaluation": keras_l2o.available,
    "hub": lambda: keras_l2o.from_hub("hf://me/mine"),
    "plots": plots.new_figure,
    "private": lambda: private.epsilon(private.Privacy(), 8, 64, 2),
}


@pytest.mark.parametrize("extra", USES)
def test_a_use_without_its_extra_names_it(without, extra):
    without(extra)
    with pytest.raises(extras.MissingExtra, match=rf"keras-l2o\[{extra}\]'$"):
        USES[extra]()


def test_cards_need_the_extra_of_the_hub(without):
    without("hub")
    with pytest.raises(extras.MissingExtra, match="A model card needs"):
        keras_l2o.hub.card_files.card("min-max")


@pytest.mark.parametrize(
    "arguments",
    [["plot", "losses", "results"], ["card", "min-max", "--evaluations=x"]],
)
def test_a_command_asks_before_it_computes(without, monkeypatch, arguments):
    def begun(*args, **kwargs):
        pytest.fail("It began.")

    monkeypatch.setattr(evaluation.collection, "collect", begun)
    without("plots")
    result = CliRunner().invoke(application, arguments)
    assert isinstance(result.exception, extras.MissingExtra)


def test_a_search_writes_for_tensorboard_by_tensorflow(without, tmp_path):
    without("tensorflow")
    result = CliRunner().invoke(
        application,
        ["tune", f"--directory={tmp_path / 'search'}", "--tensorboard",
         "--presets=digits_train,adam"],
    )  # fmt: skip
    assert isinstance(result.exception, extras.MissingExtra)
    assert "keras-l2o[tensorflow]" in str(result.exception)
    assert not (tmp_path / "search").exists()


def test_the_command_without_its_extra_is_one_line():
    code = (
        "import sys; sys.modules['typer'] = None\n"
        "from keras_l2o_commands.__main__ import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "presets", "adam"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    line = extras.line("cli", "keras-l2o's command line")
    assert result.stderr == f"error: {line}\n"


def test_a_missing_backend_is_named_with_one_that_is_there():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import os; os.environ['KERAS_BACKEND'] = 'torch'\n"
        "import keras_l2o"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    line = result.stderr.strip().splitlines()[-1]
    assert line == (
        "keras_l2o.extras.MissingExtra: Keras's backend 'torch' needs the "
        "extra 'torch': pip install 'keras-l2o[torch]', or set "
        "KERAS_BACKEND=tensorflow before"
    )


def requirements():
    """Modules that the core and each extra bring, as `setup.cfg` says."""
    found = {"core": SETUP["options"]["install_requires"]}
    found |= dict(SETUP["options.extras_require"])
    return {
        extra: {
            MODULES.get(name, name)
            for line in text.strip().splitlines()
            for name in [re.match(r"[\w-]+", line)[0].lower().replace("-", "_")]
        }
        for extra, text in found.items()
    }


def test_extras_bring_what_is_asked_for():
    declared = requirements()
    for extra, modules in extras.MODULES.items():
        assert set(modules) <= declared[extra], extra


def test_all_is_every_extra_but_torch():
    named = re.findall(r"\[(.*?)\]", SETUP["options.extras_require"]["all"])
    everything = {extra for names in named for extra in names.split(",")}
    assert everything == set(extras.MODULES) - {"torch"}


def test_every_import_is_of_the_core_or_of_an_extra():
    known = {"keras_l2o", "keras_l2o_commands", *sys.stdlib_module_names}
    known |= requirements()["core"].union(*extras.MODULES.values())
    for folder in ("keras_l2o", "keras_l2o_commands"):
        for path in (ROOT / folder).rglob("*.py"):
            assert imported(ast.parse(path.read_text())) <= known, path


def imported(tree):
    """Names of the packages that a module's statements import."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return {name.partition(".")[0] for name in names}
