"""The command `keras-l2o`, for `python -m keras_l2o.cli`.

`keras_l2o_commands` has it, and `python -m keras_l2o_commands` is the same
without importing Keras for a help page.
"""

# ruff: noqa: E402
from keras_l2o import extras

extras.need("cli", "keras-l2o's command line")

from keras_l2o_commands.application import application
from keras_l2o_commands.application import main

__all__ = ["application", "main"]

if __name__ == "__main__":
    main()
