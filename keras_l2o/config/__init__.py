"""Configurations of runs: typed fields, presets and overrides."""

# ruff: noqa: E402
from keras_l2o import extras

extras.need("cli", "keras_l2o.config")

from keras_l2o.config.build import Built
from keras_l2o.config.build import build
from keras_l2o.config.build import trained_policy
from keras_l2o.config.configuration import Configuration
from keras_l2o.config.configuration import check
from keras_l2o.config.configuration import description
from keras_l2o.config.configuration import resolve
from keras_l2o.config.errors import ConfigurationError
from keras_l2o.config.overrides import parse_override
from keras_l2o.config.presets import PRESETS

__all__ = [
    "PRESETS",
    "Built",
    "Configuration",
    "ConfigurationError",
    "build",
    "check",
    "description",
    "parse_override",
    "resolve",
    "trained_policy",
]
