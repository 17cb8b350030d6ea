from keras_l2o.errors import UserError


class SearchError(UserError):
    """A search that cannot go on as it was asked to."""
