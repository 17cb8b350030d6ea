"""The typed sections of a configuration.

The fields of a policy, a strategy or the training, and their defaults, are
taken from the signatures of the constructors, so that they are written down
only once.
"""

import inspect
from typing import Annotated
from typing import Any
from typing import Literal

import keras
import pydantic

from keras_l2o import policies
from keras_l2o import problems
from keras_l2o import strategies
from keras_l2o.config.errors import ConfigurationError
from keras_l2o.config.errors import nearest
from keras_l2o.perturbations.names import NAMES
from keras_l2o.training import MetaTrainer
from keras_l2o.training import Objective
from keras_l2o.training import estimators
from keras_l2o.training.objective import KINDS
from keras_l2o.training.objective import MODES
from keras_l2o.training.objective import REDUCTIONS
from keras_l2o.training.objective import STEP_WEIGHTS

OPTIMIZERS = {
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl",
    "lamb", "lion", "muon", "nadam", "rmsprop", "sgd",
}  # fmt: skip

_IntSchedule = int | list[int] | dict[str, Any]
_FloatSchedule = float | list[float] | dict[str, Any]

#: Types of fields whose default does not determine the type.
_STRATEGY_TYPES = {
    "unroll": _IntSchedule,
    "depth": _IntSchedule,
    "warmup": _IntSchedule,
    "imitation_weight": _FloatSchedule,
    "repeat_threshold": float,
    "validation_unroll": int | None,
    "validation_depth": _IntSchedule | None,
    "validation_warmup": int | None,
    "validation_warmup_rate": float | None,
    "shortest_depth": int | None,
}
_POLICY_TYPES = {
    "pool": list[dict[str, Any]] | None,
    "rule": dict[str, Any] | None,
    "optimizer": dict[str, Any] | None,
}
_OPTIMIZER_TYPES = {"learning_rate": float | dict[str, Any]}
_TRAINING_TYPES = {
    "tasks": pydantic.PositiveInt,
    "validation_tasks": pydantic.PositiveInt,
    "parameter_scale_spread": pydantic.NonNegativeFloat | dict[str, Any],
    "gradient_clipping": float | None,
    "balance": dict[str, Any] | None,
    "problems_per_step": pydantic.PositiveInt | None,
    "reduce": Literal[tuple(REDUCTIONS)],
    "kind": Literal[tuple(KINDS)],
    "step_weights": Literal[tuple(STEP_WEIGHTS)],
    "estimator": dict[str, Any],
    "mode": Literal[tuple(MODES)],
    "huber_delta": float | None,
    "stop_above": float | None,
}

#: Arguments of the constructors that are no fields of the section `training`:
#: they are fields of other sections, the strategy sets them, or they concern
#: the device only.
_ELSEWHERE = {
    "self", "student", "teachers", "problems", "objective", "imitation_weight",
    "unroll", "depth", "warmup", "warmup_rate", "validation_depth", "seed",
    "replicates", "name", "optimizer", "jit_compile", "rematerialize", "kwargs",
}  # fmt: skip


def _defaults(function, leave_out=()):
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in _ELSEWHERE and name not in leave_out
    }


#: Fields of the section `training` with their defaults, by the callable that
#: takes them: `Objective`, `MetaTrainer` and `MetaTrainer.compile`.
OBJECTIVE = _defaults(Objective)
TRAINER = {
    **_defaults(MetaTrainer.__init__, leave_out=OBJECTIVE),
    "estimator": {"name": "truncated_backprop", "config": {}},
}
COMPILATION = _defaults(MetaTrainer.compile)


class Section(pydantic.BaseModel):
    """Base class of sections: fields of fixed types, and no other fields."""

    model_config = pydantic.ConfigDict(
        extra="forbid", protected_namespaces=(), validate_default=False
    )


def _problem_name(name):
    check_name("problems/name", name, problems.names())
    return name


class ProblemSection(Section):
    """A problem that the student is trained on.

    Args:
        name: String, the name of a problem, see `keras_l2o.problems`.
        dataset: String. Name of a data set to use instead of the problem's.
            Defaults to `None`.
        batch_size: Int. Defaults to `None`, that of the problem.
    """

    name: Annotated[str, pydantic.AfterValidator(_problem_name)]
    dataset: str | None = None
    batch_size: pydantic.PositiveInt | None = None


def policy(name, path):
    """Makes the section of a policy.

    Args:
        name: String, the policy's name, see `keras_l2o.policies.get`.
        path: String. The section's path in the configuration, for the error.

    Returns:
        Subclass of `Section`.

    Raises:
        ConfigurationError: There is no such policy.
    """
    check_name(f"{path}/name", name, policies.names())
    config = policies.get(name).get_config()
    for key in ("name", "dtype"):
        config.pop(key, None)
    for key in {"pool", "rule", "optimizer"} & set(config):
        config[key] = None  # by default that of the policy's name
    return _section("Policy", config, _POLICY_TYPES, name=name)


def strategy(name):
    """Makes the section of a strategy.

    Args:
        name: String, the strategy's name, see `keras_l2o.strategies.get`.

    Returns:
        Subclass of `Section`.

    Raises:
        ConfigurationError: There is no such strategy.
    """
    check_name("strategy/name", name, strategies.names())
    config = strategies.get(name).get_config()
    del config["seed"]  # a field of the whole configuration
    return _section("Strategy", config, _STRATEGY_TYPES, name=name)


def optimizer(name):
    """Makes the section of the outer optimizer's arguments.

    Args:
        name: String, one of `OPTIMIZERS`.

    Returns:
        Subclass of `Section`.

    Raises:
        ConfigurationError: There is no such optimizer.
    """
    check_name("optimizer/name", name, OPTIMIZERS)
    config = keras.optimizers.get(name).get_config()
    del config["name"]
    return _section("Optimizer", config, _OPTIMIZER_TYPES)


def perturbation(name):
    """Makes the section of a perturbation's arguments.

    Args:
        name: String, the perturbation's name, see
            `keras_l2o.perturbations.get`.

    Returns:
        Subclass of `Section`.

    Raises:
        ConfigurationError: There is no such perturbation.
    """
    check_name("policy/perturbation/name", name, NAMES)
    arguments = {
        key: parameter.default
        for key, parameter in inspect.signature(NAMES[name]).parameters.items()
    }
    types = {
        key: (int if key == "seed" else float) | None
        for key, default in arguments.items()
        if default is None
    }
    return _section("Perturbation", arguments, types)


def estimator(name):
    """Makes the section of an estimator's arguments.

    Args:
        name: String, the estimator's name, see
            `keras_l2o.training.estimators.get`.

    Returns:
        Subclass of `Section`.

    Raises:
        ConfigurationError: There is no such estimator.
    """
    check_name("training/estimator/name", name, estimators.names())
    config = estimators.get(name).get_config()
    return _section("Estimator", config, {"seed": int | None})


def check_name(path, name, known):
    """Raises an error if a name is unknown.

    Args:
        path: String. The path of the field that has the name.
        name: The name.
        known: Collection of strings, the known names.

    Raises:
        ConfigurationError: The name is unknown. The message suggests others.
    """
    if name not in known:
        raise ConfigurationError(
            f"Unknown name {name!r} for {path}.{nearest(name, known)} "
            f"Known: {', '.join(sorted(known))}"
        )


def _section(title, defaults, types=None, **fixed):
    fields = {key: (Literal[value], value) for key, value in fixed.items()}
    return pydantic.create_model(
        title, __base__=Section, **fields, **_fields(defaults, types or {})
    )


def _fields(defaults, types):
    """Dict from the names of fields to pairs of type and default."""
    return {
        key: (
            types.get(key) or _type(default),
            list(default) if isinstance(default, tuple) else default,
        )
        for key, default in defaults.items()
    }


def _type(default):
    if default is None or isinstance(default, dict):
        return Any
    if isinstance(default, (list, tuple)):
        kinds = {type(entry) for entry in default}
        return list[kinds.pop()] if len(kinds) == 1 else list[Any]
    return type(default)


class _Teachers(Section):
    """The field of the section `training` that no constructor's default has.

    `configuration.check` checks each teacher by a section of its own.
    """

    teachers: list[dict[str, Any]] = []


Training = pydantic.create_model(
    "Training",
    __base__=_Teachers,
    **_fields({**TRAINER, **OBJECTIVE, **COMPILATION}, _TRAINING_TYPES),
)
