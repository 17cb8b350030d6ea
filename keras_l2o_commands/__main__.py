"""The entry point of `keras-l2o`."""

import sys


def main():
    """Runs the command line.

    Exits with an error of one line if the extra `cli` is not installed.
    """
    try:
        from keras_l2o_commands.application import main as run
    except ModuleNotFoundError as error:
        if error.name not in ("platformdirs", "rich", "typer"):
            raise
        # The words of `keras_l2o.extras.MissingExtra`, repeated here since
        # importing `keras_l2o` imports Keras.
        sys.exit(
            "error: keras-l2o's command line needs the extra 'cli': "
            "pip install 'keras-l2o[cli]'"
        )
    run()


if __name__ == "__main__":
    main()
