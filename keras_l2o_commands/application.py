"""All commands together, and how they end."""

import logging
import os
import sys

import typer
from rich.console import Console
from rich.text import Text

from keras_l2o_commands import baselines
from keras_l2o_commands import bundled
from keras_l2o_commands import hub
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
    # Brackets in a help text are what is typed, no markup.
    rich_markup_mode=None,
)


@application.callback()
def options(
    context: typer.Context,
    traceback: bool = typer.Option(
        False, "--traceback", help="Show where an error comes from."
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
    results,
    hub,
    tune,
    bundled,
):
    module.register(application)


def main():
    """Runs the command; an error of ours is a line, not a traceback."""
    # The lines that TensorFlow prints when it starts, whatever it finds.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # It counts every new model's first step as a retrace to be warned of.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    given = {}
    try:
        application(prog_name="keras-l2o", obj=given)
    except Exception as error:
        if given.get("traceback") or not is_ours(error):
            raise
        # As `Text`, since brackets in a message are no markup.
        line = Text("error: " + " ".join(str(error).split()), style="red")
        Console(stderr=True, soft_wrap=True).print(line)
        sys.exit(1)
