"""The typed sections of a configuration.

Which fields a policy, a strategy or the training has, and their defaults, is
what constructors say: nothing is written down a second time.
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
    "lamb", "lion", "nadam", "rmsprop", "sgd",
}  # fmt: skip

_IntSchedule = int | list[int] | dict[str, Any]
_FloatSchedule = float | list[float] | dict[str, Any]

#: Types that a default does not tell.
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
_POLICY_TYPES = {"pool": list[dict[str, Any]] | None}
_OPTIMIZER_TYPES = {"learning_rate": float | dict[str, Any]}
_TRAINING_TYPES = {
    "tasks": pydantic.PositiveInt,
    "validation_tasks": pydantic.PositiveInt,
    "parameter_scale_spread": pydantic.NonNegativeFloat,
    "gradient_clipping": float | None,
    "reduce": Literal[tuple(REDUCTIONS)],
    "kind": Literal[tuple(KINDS)],
    "step_weights": Literal[tuple(STEP_WEIGHTS)],
    "estimator": dict[str, Any],
    "mode": Literal[tuple(MODES)],
    "huber_delta": float | None,
    "stop_above": float | None,
}

#: Arguments of the training that are no fields of its section: other sections
#: have them, the strategy sets them, or they are about the device alone.
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


#: Fields of the section `training`, by what takes them, with their defaults.
OBJECTIVE = _defaults(Objective)
TRAINER = {
    **_defaults(MetaTrainer.__init__, leave_out=OBJECTIVE),
    "estimator": {"name": "truncated_backprop", "config": {}},
}
COMPILATION = _defaults(MetaTrainer.compile)


class Section(pydantic.BaseModel):
    """Fields of known types, and no others."""

    model_config = pydantic.ConfigDict(
        extra="forbid", protected_namespaces=(), validate_default=False
    )


def _problem_name(name):
    check_name("problems/name", name, problems.names())
    return name


class ProblemSection(Section):
    """What the student is trained on: a problem of the suite, by name."""

    name: Annotated[str, pydantic.AfterValidator(_problem_name)]
    dataset: str | None = None
    batch_size: pydantic.PositiveInt | None = None


def policy(name, path):
    """The section of a policy of this name, which stands under the path."""
    check_name(f"{path}/name", name, policies.names())
    config = policies.get(name).get_config()
    for key in ("name", "dtype"):
        config.pop(key, None)
    if "pool" in config:
        config["pool"] = None  # the catalogue's, by the policy's name
    return _section("Policy", config, _POLICY_TYPES, name=name)


def strategy(name):
    """The section of a strategy of this name."""
    check_name("strategy/name", name, strategies.names())
    config = strategies.get(name).get_config()
    del config["seed"]  # that of the whole configuration
    return _section("Strategy", config, _STRATEGY_TYPES, name=name)


def optimizer(name):
    """The section of the arguments of the outer optimizer of this name."""
    check_name("optimizer/name", name, OPTIMIZERS)
    config = keras.optimizers.get(name).get_config()
    del config["name"]
    return _section("Optimizer", config, _OPTIMIZER_TYPES)


def perturbation(name):
    """The section of the arguments of a perturbation of this name."""
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
    """The section of the arguments of an estimator of this name."""
    check_name("training/estimator/name", name, estimators.names())
    config = estimators.get(name).get_config()
    return _section("Estimator", config, {"seed": int | None})


def check_name(path, name, known):
    """Refuses a name that is not known."""
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
    """Pydantic's fields: of each, its type and its default."""
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
    """How the student is trained. `teachers` have sections of their own."""

    teachers: list[dict[str, Any]] = []


Training = pydantic.create_model(
    "Training",
    __base__=_Teachers,
    **_fields({**TRAINER, **OBJECTIVE, **COMPILATION}, _TRAINING_TYPES),
)
