import copy
from typing import Any

import pydantic

from keras_l2o.config import aliases
from keras_l2o.config import overrides as overrides_module
from keras_l2o.config import presets as presets_module
from keras_l2o.config import sections
from keras_l2o.config.errors import ConfigurationError
from keras_l2o.config.errors import nearest


class Configuration(sections.Section):
    """What a run is, all of it: each field has its value.

    The sections `policy`, `strategy`, `optimizer` and the teachers have the
    arguments of what they name. `resolve` makes and checks one.
    """

    seed: int = 0
    replicates: pydantic.PositiveInt | None = None
    policy: dict[str, Any]
    strategy: dict[str, Any]
    training: sections.Training  # type: ignore[valid-type]
    optimizer: dict[str, Any]
    problems: list[sections.ProblemSection]


def resolve(presets=(), policy=None, strategy=None, overrides=(), seed=None):
    """Puts a configuration together and checks it.

    Args:
        presets: List of names of presets, laid over each other in this order.
        policy, strategy: Names. Default to `"rnnprop"` and `"curriculum"`.
        overrides: List of pairs of a path, such as `"strategy/depth"`, and a
            value. They go before everything else.
        seed: Int. Defaults to `0`.

    Returns:
        A `Configuration`.

    Raises:
        ConfigurationError: There is no such preset, path, policy or problem,
            or a value is of a wrong type. It names the nearest right one.
    """
    nest = copy.deepcopy(presets_module.compose(presets))
    for key, name, default in (
        ("policy", policy, "rnnprop"),
        ("strategy", strategy, "curriculum"),
        ("optimizer", None, "adam"),
    ):
        section = nest.setdefault(key, {})
        section["name"] = section.get("name", default) if name is None else name
    nest["optimizer"].setdefault("config", {"learning_rate": 1e-3})
    nest.setdefault("training", {}).setdefault("teachers", [])
    nest["training"].setdefault(
        "estimator", copy.deepcopy(sections.TRAINER["estimator"])
    )
    nest.setdefault("problems", [{"name": "digits_train"}])
    nest["seed"] = 0 if seed is None else seed
    for path, value in overrides:
        path = aliases.canonical_path(path)
        value = aliases.canonical(value, path)
        overrides_module.apply_override(nest, path, value)
    return check(nest)


def check(nest):
    """Checks a nest of dicts and fills in the defaults: a `Configuration`.

    Fields may go by the names in `aliases`, as those of stored runs do.
    """
    nest = aliases.canonical(copy.deepcopy(nest))
    for key in ("policy", "strategy", "optimizer", "training"):
        if not isinstance(nest.get(key), dict):
            raise ConfigurationError(
                f"Field {key} must hold fields. Received: {nest.get(key)!r}"
            )
    nest["policy"] = _policy(nest["policy"])
    nest["strategy"] = _section(
        sections.strategy(nest["strategy"].get("name")),
        nest["strategy"],
        "strategy",
    )
    nest["optimizer"] = _named(
        sections.optimizer, nest["optimizer"], "optimizer"
    )
    nest["training"]["estimator"] = _named(
        sections.estimator,
        nest["training"].get("estimator", sections.TRAINER["estimator"]),
        "training/estimator",
        exclude_unset=True,
    )
    teachers = nest["training"].get("teachers")
    if isinstance(teachers, list):
        nest["training"]["teachers"] = [
            _teacher(teacher, f"training/teachers/{index}")
            for index, teacher in enumerate(teachers)
        ]
    return _validate(Configuration, nest, "")


def description(configuration, stored=None):
    """What a configuration is, for a directory that keeps it.

    Args:
        configuration: A `Configuration`.
        stored: What the directory holds, if it holds anything.

    Returns:
        A dict that JSON can hold: what is stored, if that is the same
        configuration from when fields had other names or were fewer.
    """
    if isinstance(stored, dict):
        try:
            if check(stored) == configuration:
                return stored
        except ConfigurationError:
            pass
    return configuration.model_dump(mode="json")


def _policy(nest):
    nest = dict(nest)
    perturbation = nest.pop("perturbation", None)
    result = _rule(nest, "policy", "perturbation")
    if perturbation is not None:
        perturbation = _named(
            sections.perturbation,
            perturbation,
            "policy/perturbation",
            exclude_unset=True,
        )
    return {**result, "perturbation": perturbation}


def _named(section, nest, path, **dump):
    """A section of a name and, in `config`, the arguments of what it names."""
    if not isinstance(nest, dict) or not {"name"} <= set(nest) <= {
        "name",
        "config",
    }:
        raise ConfigurationError(
            f"Field {path} must have the fields name and config: say which "
            f"one by a preset or by --{path}/name=... Received: {nest!r}"
        )
    model = section(nest["name"])
    config = _section(model, nest.get("config", {}), f"{path}/config", **dump)
    return {"name": nest["name"], "config": config}


def _teacher(nest, path):
    """A rule with its arguments, or a trained policy in a directory."""
    if not isinstance(nest, dict):
        raise ConfigurationError(
            f"Field {path} must hold fields. Received: {nest!r}"
        )
    if nest.get("directory") is not None:
        trained = pydantic.create_model(
            "Teacher",
            __base__=sections.Section,
            name=(str, "trained"),
            directory=(str, ...),
        )
        return _section(trained, nest, path)
    return _rule(nest, path, "directory")


def _rule(nest, path, *more):
    """A policy with its arguments; those of a pool are rules in turn."""
    rule = _section(sections.policy(nest.get("name"), path), nest, path, *more)
    if rule.get("pool") is not None:
        rule["pool"] = [
            _rule(member, f"{path}/pool/{index}")
            for index, member in enumerate(rule["pool"])
        ]
    return rule


def _section(model, nest, path, *more, **dump):
    return _validate(model, nest, path, *more).model_dump(**dump)


def _validate(model, nest, path, *more):
    try:
        return model.model_validate(nest)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
    place = _place(model, nest, first["loc"])
    full = "/".join(filter(None, [path, *place]))
    if first["type"] == "extra_forbidden":
        known = [*_fields(model), *more]
        owner = f" ({nest['name']})" if path and "name" in nest else ""
        raise ConfigurationError(
            f"There is no field {full}{owner}."
            f"{nearest('/'.join(place), known, path)} Known: {', '.join(known)}"
        )
    message = first["msg"]
    if first["type"] == "value_error":
        message = str(first["ctx"]["error"])
    raise ConfigurationError(
        f"Field {full}: {message}. Received: {first['input']!r}"
    )


def _place(model, nest, location):
    """An error's location, without the types that a union adds to it."""
    place = []
    for part in location:
        if isinstance(nest, dict) and part in nest:
            nest = nest[part]
        elif isinstance(nest, list) and isinstance(part, int):
            nest = nest[part]
        elif place:
            break
        place.append(str(part))
    return place


def _fields(model):
    """Paths of a model's fields, those of the sections in it included."""
    paths = []
    for name, field in model.model_fields.items():
        paths.append(name)
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, sections.Section):
            paths += [f"{name}/{path}" for path in _fields(inner)]
    return paths
