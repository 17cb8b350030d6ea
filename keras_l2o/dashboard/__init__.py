"""A page to choose an optimizer by looking, and to watch one's own runs."""

# ruff: noqa: E402
from keras_l2o import extras

extras.need("evaluation", "keras_l2o.dashboard")

from keras_l2o.dashboard.gather import Gatherer
from keras_l2o.dashboard.server import Server
from keras_l2o.dashboard.site import write

__all__ = ["Gatherer", "Server", "write"]
