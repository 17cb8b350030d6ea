"""Where `keras-l2o` starts: with its commands, or with what they lack."""

import sys


def main():
    """Runs the command; without the extra `cli` it is a line that says so."""
    try:
        from keras_l2o_commands.application import main as run
    except ModuleNotFoundError as error:
        if error.name not in ("rich", "typer"):
            raise
        # As `keras_l2o.extras` has it, which is not imported without Keras.
        sys.exit(
            "error: keras-l2o's command line needs the extra 'cli': "
            "pip install 'keras-l2o[cli]'"
        )
    run()


if __name__ == "__main__":
    main()
