"""The command `dashboard`, the page to choose an optimizer by looking."""

import contextlib
import webbrowser

import typer

from keras_l2o_commands.declare import declare
from keras_l2o_commands.interruption import interruptible
from keras_l2o_commands.tables import print_line

PATHS = typer.Argument(
    help="Run directories, folders that contain run directories or stored "
    "evaluations, or .npz files."
)


def register(application):
    """Adds the command of this module to an application.

    Args:
        application: `typer.Typer`.
    """
    declare(application, dashboard)


def dashboard(
    paths: list[str] = PATHS,
    output: str = typer.Option(
        None,
        help="Folder to write the page to, which a browser opens without a "
        "server. Default: serve it instead, alive while runs go on.",
    ),
    port: int = typer.Option(
        8765, help="Port on this machine; 0 for any that is free."
    ),
    no_browser: bool = typer.Option(
        False, "--no-browser", help="Print the address only."
    ),
):
    """Opens a page of runs and evaluations, to compare optimizers by looking.

    The page is served to this machine alone, until Ctrl-C, and follows runs
    while they go on.

    Example: keras-l2o dashboard results
    """
    from keras_l2o import extras

    extras.need("evaluation", "The page")
    with interruptible("the page is not served any more"):
        from keras_l2o import dashboard

        gatherer = dashboard.Gatherer(paths)
        if output is not None:
            page = dashboard.write(gatherer.data(), output)
            print_line(f"wrote {page}")
            return
        with dashboard.Server(gatherer, port) as server:
            print_line(f"page: {server.address} (Ctrl-C ends it)")
            if not no_browser:
                with contextlib.suppress(webbrowser.Error):
                    webbrowser.open(server.address)
            server.serve_forever()
