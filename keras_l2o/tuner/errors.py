class SearchError(ValueError):
    """A search that cannot go on as it was asked to."""
