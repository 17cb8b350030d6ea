"""The base class of keras_l2o's own errors."""


class UserError(ValueError):
    """Base class of errors whose message says how to mend what is wrong.

    The command line prints such an error as one line, and the traceback of
    any other.

    Example:

    >>> try:
    ...     keras_l2o.from_hub("min-max/0/1")
    ... except keras_l2o.errors.UserError as error:
    ...     print(error)
    A name must be that of a family, such as 'min-max', or of the form ...
    """
