"""The contents of `config.json`, in every version of the format so far."""

import importlib.resources
import json
import math

from keras_l2o.hub.errors import FormatError

#: The version that `save` writes.
FORMAT_VERSION = 1
CONFIG = "config.json"

_VERSION_1 = {
    "format_version": int,
    "policy": dict,
    "learning_rate": float,
    "warmup_steps": int,
    "warmup_rate": float,
}


def write(optimizer_config):
    """The dict that goes to `config.json`.

    Args:
        optimizer_config: Dict, of `LearnedOptimizer.get_config`.
    """
    usage = {"format_version": FORMAT_VERSION}
    for key in _VERSION_1:
        usage.setdefault(key, optimizer_config.get(key))
    return usage


def read(config):
    """What an optimizer is built from.

    Args:
        config: Dict that was parsed from `config.json`, not trusted.

    Returns:
        Two dicts: the config of the policy, not yet checked, and the other
        arguments of `LearnedOptimizer`.
    """
    version = config.get("format_version")
    # `True` is no version, though it equals one.
    if type(version) is not int or version not in READERS:
        raise FormatError(
            f"{CONFIG} is of format version {version!r:.20}; this keras_l2o "
            f"reads {', '.join(map(str, READERS))}. Install another one."
        )
    return READERS[version](config)


def _read_1(config):
    if set(config) != set(_VERSION_1):
        raise FormatError(
            f"{CONFIG} must hold {', '.join(_VERSION_1)} and nothing else. It "
            f"holds {', '.join(config)!s:.200}."
        )
    for key, kind in _VERSION_1.items():
        if type(config[key]) is not kind:
            raise FormatError(
                f"{key} in {CONFIG} must be of type {kind.__name__}. It is "
                f"{config[key]!r:.40}."
            )
    for key in ("learning_rate", "warmup_rate"):
        if not math.isfinite(config[key]):
            raise FormatError(f"{key} in {CONFIG} is not finite.")
    if not 0 <= config["warmup_steps"] < 2**31:
        raise FormatError(f"warmup_steps in {CONFIG} is out of range.")
    if config["warmup_rate"] < 0:
        raise FormatError(f"warmup_rate in {CONFIG} is negative.")
    usage = {
        key: config[key]
        for key in ("learning_rate", "warmup_steps", "warmup_rate")
    }
    return config["policy"], usage


#: A reader for each version of the format. None is ever removed, so that any
#: later version of keras_l2o can load any folder.
READERS = {1: _read_1}


def schema(version=FORMAT_VERSION):
    """The JSON schema of `config.json` in a version of the format, a dict."""
    files = importlib.resources.files("keras_l2o.hub") / "schema"
    return json.loads((files / f"config-{version}.json").read_text("utf-8"))
