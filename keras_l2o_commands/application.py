"""The application with all commands, and how it reports errors."""

import logging
import os
import sys

import typer
from rich.console import Console
from rich.text import Text

from keras_l2o_commands import baselines
from keras_l2o_commands import bundled
from keras_l2o_commands import compiled
from keras_l2o_commands import dashboard
from keras_l2o_commands import hub
from keras_l2o_commands import interruption
from keras_l2o_commands import measure
from keras_l2o_commands import plot
from keras_l2o_commands import presets
from keras_l2o_commands import results
from keras_l2o_commands import run
from keras_l2o_commands import tune
from keras_l2o_commands.errors import is_ours

application = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Help texts show brackets as they are typed; they are not rich markup.
    rich_markup_mode=None,
)


@application.callback()
def options(
    context: typer.Context,
    traceback: bool = typer.Option(
        False, "--traceback", help="Show the Python traceback of an error."
    ),
):
    """Learned optimizers for Keras."""
    context.ensure_object(dict)["traceback"] = traceback


for module in (
    run,
    presets,
    measure,
    baselines,
    plot,
    dashboard,
    results,
    hub,
    tune,
    bundled,
):
    module.register(application)


def main():
    """Runs the command that was typed.

    An error that `errors.is_ours` recognizes is printed as one line on stderr,
    with exit status 1; `--traceback` shows its traceback instead. Any other
    error is a bug, and keeps its traceback.
    """
    # Hides the messages that TensorFlow prints whenever it starts.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    compiled.keep()
    # TensorFlow warns of a retrace at the first step of every new model.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    given = {}
    ending = interruption.Ending()
    try:
        application(prog_name="keras-l2o", obj=given)
    except SystemExit as ended:
        ending.status = ended.code
        raise
    except Exception as error:
        if given.get("traceback") or not is_ours(error):
            raise
        # A `Text`, so that rich does not read brackets as markup.
        line = Text("error: " + " ".join(str(error).split()), style="red")
        Console(stderr=True, soft_wrap=True).print(line)
        sys.exit(1)
