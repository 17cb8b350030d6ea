"""The errors of a search."""

from keras_l2o.errors import UserError


class SearchError(UserError):
    """A search cannot start or continue; the message says what to change.

    Example:

    >>> from keras_l2o.tuner import search
    >>> search.best_trial([])
    Traceback (most recent call last):
    keras_l2o.tuner.errors.SearchError: No trial has come to its end. ...
    """
