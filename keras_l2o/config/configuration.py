"""Configurations of runs: how they are put together, checked and stored."""

import copy
from collections.abc import Iterable
from typing import Any

import pydantic

from keras_l2o.config import aliases
from keras_l2o.config import overrides as overrides_module
from keras_l2o.config import presets as presets_module
from keras_l2o.config import sections
from keras_l2o.config.errors import ConfigurationError
from keras_l2o.config.errors import nearest


class Configuration(sections.Section):
    """Everything that a run depends on. `resolve` makes and checks one.

    The sections `policy`, `strategy`, `optimizer` and those of the teachers
    have a name, and the arguments of the constructor that the name stands for.

    Args:
        seed: Int. Seed of the first weights, the data and the strategy.
            Defaults to `0`.
        replicates: Int. Number of students that are trained at once. Defaults
            to `None`, a single student.
        policy: Dict. The student's policy and its arguments. The field
            `perturbation` says how the student's weights are perturbed in
            training, or is `None`.
        strategy: Dict. The plan of the run, one of `keras_l2o.strategies`, and
            its arguments.
        training: Section. Arguments of `keras_l2o.MetaTrainer`, of its
            `compile` and of `keras_l2o.training.Objective`, and the list
            `teachers`.
        optimizer: Dict. The Keras optimizer that trains the student: the fields
            `name` and `config`.
        problems: List of sections. The problems that the student is trained on.

    Example:

    >>> configuration = keras_l2o.config.resolve(["conv_train", "adam"])
    >>> configuration.policy["name"], configuration.problems[0].name
    ('rnnprop', 'conv_train')
    """

    seed: int = 0
    replicates: pydantic.PositiveInt | None = None
    policy: dict[str, Any]
    strategy: dict[str, Any]
    training: sections.Training  # type: ignore[valid-type]
    optimizer: dict[str, Any]
    problems: list[sections.ProblemSection]


def resolve(
    presets: Iterable[str] = (),
    policy: str | None = None,
    strategy: str | None = None,
    overrides: Iterable[tuple[str, Any]] = (),
    seed: int | None = None,
) -> Configuration:
    """Puts a configuration together and checks it.

    Args:
        presets: List of names of presets, which are applied in this order. The
            teachers and problems of a preset are added to those before, and its
            other fields replace those before. Defaults to `()`.
        policy: String, the student's name. Defaults to `None`: that of the
            presets, or else `"rnnprop"`.
        strategy: String, the strategy's name. Defaults to `None`: that of the
            presets, or else `"curriculum"`.
        overrides: List of pairs of a path, such as `"strategy/depth"`, and the
            value of the field, which replaces that of the presets. Defaults to
            `()`.
        seed: Int. Seed of the run. Defaults to `None`, the seed `0`.

    Returns:
        A `Configuration`.

    Raises:
        ConfigurationError: There is no such preset, path, policy or problem,
            or a value has the wrong type. The message suggests similar names.

    Example:

    >>> configuration = keras_l2o.config.resolve(
    ...     ["conv_train", "adam", "rmsprop"],
    ...     overrides=[("problems/0/dataset", "digits")])
    >>> [teacher["name"] for teacher in configuration.training.teachers]
    ['adam', 'rmsprop']
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
    return _checked(aliases.canonical(nest))


def check(nest: dict[str, Any]) -> Configuration:
    """Checks the fields of a configuration and fills in the defaults.

    Args:
        nest: Nest of dicts and lists, such as the one under `"run"` in
            `config.json` of a run's directory. Fields may have their former
            names, as in stored runs. A policy that lacks an argument of later
            versions is what it was before: one without `odd` has `False`.

    Returns:
        A `Configuration`.

    Raises:
        ConfigurationError: A field is missing or unknown, or a value has the
            wrong type.

    Example:

    >>> configuration = keras_l2o.config.resolve(["conv_train", "adam"])
    >>> nest = configuration.model_dump(mode="json")
    >>> keras_l2o.config.check(nest) == configuration
    True
    """
    nest = aliases.canonical(copy.deepcopy(nest))
    return _checked(aliases.completed(nest))


def _checked(nest):
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
            _rule(teacher, f"training/teachers/{index}")
            for index, teacher in enumerate(teachers)
        ]
    return _validate(Configuration, nest, "")


def description(
    configuration: Configuration, stored: Any = None
) -> dict[str, Any]:
    """A configuration in the form in which a run's directory stores it.

    Args:
        configuration: A `Configuration`.
        stored: Dict, the description that the directory has already. Defaults
            to `None`: it has none.

    Returns:
        A dict that JSON can hold. It is `stored` itself if that describes the
        same configuration, so that the run can be continued. `stored` may have
        former names, and lack fields that later versions have added.

    Example:

    >>> configuration = keras_l2o.config.resolve(["conv_train", "adam"])
    >>> keras_l2o.config.description(configuration)["seed"]
    0
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
    """Checks a section with the fields `name` and `config`, the arguments."""
    if not isinstance(nest, dict) or not {"name"} <= set(nest) <= {
        "name",
        "config",
    }:
        raise ConfigurationError(
            f"Field {path} must have the fields name and config. Set the name "
            f"by a preset or by --{path}/name=... Received: {nest!r}"
        )
    model = section(nest["name"])
    config = _section(model, nest.get("config", {}), f"{path}/config", **dump)
    return {"name": nest["name"], "config": config}


def _rule(nest, path, *more):
    """Checks a policy and its arguments, or where a trained policy is.

    So, too, the policies within it.
    """
    if not isinstance(nest, dict):
        raise ConfigurationError(
            f"Field {path} must hold fields. Received: {nest!r}"
        )
    if nest.get("directory") is not None:
        trained = pydantic.create_model(
            "Trained",
            __base__=sections.Section,
            name=(str, "trained"),
            directory=(str, ...),
        )
        return _section(trained, nest, path, *more)
    more = ("directory", *more)
    rule = _section(sections.policy(nest.get("name"), path), nest, path, *more)
    if rule.get("pool") is not None:
        rule["pool"] = [
            _rule(member, f"{path}/pool/{index}")
            for index, member in enumerate(rule["pool"])
        ]
    if rule.get("rule") is not None:
        rule["rule"] = _rule(rule["rule"], f"{path}/rule")
    if rule.get("optimizer") is not None:
        rule["optimizer"] = _named(
            sections.optimizer, rule["optimizer"], f"{path}/optimizer"
        )
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
    """The path of an error: pydantic's location without the types of unions."""
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
    """List of the paths of a model's fields, and of its sections' fields."""
    paths = []
    for name, field in model.model_fields.items():
        paths.append(name)
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, sections.Section):
            paths += [f"{name}/{path}" for path in _fields(inner)]
    return paths
