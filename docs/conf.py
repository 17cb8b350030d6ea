"""How Sphinx builds the site; `make docs` calls it."""

import os
import pathlib
import sys

from sphinx.util import logging

_LOGGER = logging.getLogger(__name__)
ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
# The notebooks' processes take these over.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
)
os.environ["KERAS_BACKEND"] = "jax"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# What would only be noise below the cells: bars, and where there are none.
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"
os.environ["NO_COLOR"] = "1"
# As in the tests: programs that run for seconds compile in half of the time.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# The commands of the environment that builds the site.
os.environ["PATH"] = os.pathsep.join(
    [str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]
)

from keras_l2o.version import __version__  # noqa: E402
from tools import api_pages  # noqa: E402
from tools import site_dashboard  # noqa: E402
from tools import site_pages  # noqa: E402

HERE = pathlib.Path(__file__).parent
site_pages.write(HERE / "generated")
site_dashboard.write(HERE / "generated" / "extra" / "dashboard")

project = "keras_l2o"
author = "the authors of keras_l2o"
copyright = author
release = version = __version__

extensions = ["myst_nb", "sphinx_copybutton", "tools.mathml"]
exclude_patterns = ["_build", "generated/parts"]
templates_path = []

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

# Guides are run, so that they cannot say what is not so.
nb_execution_mode = os.environ.get("DOCS_EXECUTION", "force")
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 1200
nb_merge_streams = True
# TensorFlow, which Keras imports where it is installed, writes there of drivers
# that are missing. An error ends the build all the same.
nb_output_stderr = "remove"
nb_execution_show_tb = True

# Every reference has to be found, but for those to what other projects have
# documented: their lists of names are not here, for the site is built without
# a network.
nitpicky = True
nitpick_ignore_regex = [
    # Python's own errors under "Raises", and that of a missing extra, which
    # no public module has.
    (r"py:exc", r"(Value|Type|Key|OS|FileExists|NotImplemented)Error"),
    (r"py:exc", r".*\bMissingExtra"),
]

html_theme = "furo"
html_math_renderer = "mathml"
html_title = "keras_l2o"
html_static_path = ["_static"]
html_extra_path = ["generated/extra"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
pygments_style = "friendly"
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 70
maximum_signature_line_length = 70
copybutton_exclude = ".linenos, .gp, .go"
linkcheck_anchors = False
linkcheck_timeout = 20


def check_names(app, environment):
    """Warns, which is an error, of public names that the site lacks."""
    found = environment.get_domain("py").objects
    for page in api_pages.pages().values():
        for name, shown in page.names.items():
            if shown not in found:
                _LOGGER.warning("The site has no place for %s.", name)


def deal(app, environment, names):
    """Deals the pages to Sphinx's processes, for guides stand together.

    A process reads neighbours, and guides are what takes long.
    """
    names[:] = [name for start in range(8) for name in names[start::8]]


def setup(app):
    app.connect("env-before-read-docs", deal)
    app.connect("env-check-consistency", check_names)
