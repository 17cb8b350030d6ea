class UserError(ValueError):
    """Base class of errors whose message says what to do about them.

    The command line prints these as one line; anything else keeps its
    traceback.
    """
