"""Saving, loading and publishing optimizers, and finding them by name."""

from keras_l2o.hub.errors import AccessDenied
from keras_l2o.hub.errors import DigestError
from keras_l2o.hub.errors import ForeignClass
from keras_l2o.hub.errors import FormatError
from keras_l2o.hub.errors import GatedRepository
from keras_l2o.hub.errors import HubError
from keras_l2o.hub.errors import MissingFile
from keras_l2o.hub.errors import MissingRepository
from keras_l2o.hub.errors import MissingRevision
from keras_l2o.hub.errors import RemoteError
from keras_l2o.hub.errors import TooLarge
from keras_l2o.hub.errors import UnknownName
from keras_l2o.hub.errors import Unreachable
from keras_l2o.hub.errors import WeightsError
from keras_l2o.hub.folder import load
from keras_l2o.hub.folder import save
from keras_l2o.hub.listing import available
from keras_l2o.hub.names import from_hub
from keras_l2o.hub.publishing import publish

__all__ = [
    "AccessDenied",
    "DigestError",
    "ForeignClass",
    "FormatError",
    "GatedRepository",
    "HubError",
    "MissingFile",
    "MissingRepository",
    "MissingRevision",
    "RemoteError",
    "TooLarge",
    "UnknownName",
    "Unreachable",
    "WeightsError",
    "available",
    "from_hub",
    "load",
    "publish",
    "save",
]
