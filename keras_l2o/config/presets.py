"""Presets: named parts of a configuration, which can be combined.

Presets are applied one after the other. The teachers and problems of a preset
are added to those of the presets before it, and its other values replace those
of the presets before it.
"""

from collections.abc import Iterable
from typing import Any

from keras_l2o.config.errors import ConfigurationError
from keras_l2o.config.errors import nearest
from keras_l2o.policies import TEACHER_RATES
from keras_l2o.problems import BREADTH


def _rule(name, rate):
    return {"training": {"teachers": [{"name": name, "learning_rate": rate}]}}


def _trained(name):
    folder = f"results/{name.replace('_', '-')}/base/1"
    return {"training": {"teachers": [{"name": name, "directory": folder}]}}


def _problem(**fields):
    return {"problems": [fields]}


def _problems(*names):
    return {"problems": [{"name": name} for name in names]}


def _perturbation(name, **config):
    return {"policy": {"perturbation": {"name": name, "config": config}}}


def _imitation(*weights):
    return {"strategy": {"imitation_weight": list(weights)}}


def _cosine(rate, steps):
    """An outer learning rate that falls along a cosine to 2 % of `rate`."""
    return {
        "module": "keras.optimizers.schedules",
        "class_name": "CosineDecay",
        "config": {
            "initial_learning_rate": rate,
            "decay_steps": steps,
            "alpha": 0.02,
        },
    }


def _compact(*names):
    """A small student whose first updates are Adam's, on further problems."""
    return {
        "policy": {"name": "feature_mlp", "learning_rate": 0.01},
        **_problems(*names),
    }


def _from_nothing(steps):
    """The outer optimizer and a second problem for a student with an LSTM.

    The outer learning rate is three times that for a `FeatureMLP`: an LSTM has
    more to learn, since it does not start as a good rule. The second problem is
    small, since an LSTM takes 25 times the arithmetic of a `FeatureMLP`.
    """
    return {
        "optimizer": {"config": {"learning_rate": _cosine(3e-3, steps)}},
        **_problems("digits_noisy_narrow"),
    }


#: Some of the breadth, of different kinds, for the families of eight. A step
#: trains on all of them in one program, which is why they are few.
KINDS = ("tiny_label_noise", "tiny_factorization")

#: Rates found by `keras-l2o gridsearch` on the problems of the preset release;
#: benchmarks/rates has the table.
RELEASE_RATES = {
    "sgd": 1.0, "momentum": 0.5, "rmsprop": 0.005, "adam": 0.01,
    "powersign": 0.2, "addsign": 0.2,
}  # fmt: skip


def _tuned(*names):
    return [{"name": x, "learning_rate": RELEASE_RATES[x]} for x in names]


def _distilled(**training):
    rules = _tuned("adam", "rmsprop", "momentum", "powersign")
    return {"training": {"teachers": rules, **training}}


def _choice(name, *pool):
    """A choice policy for the release, which is trained without teachers."""
    return {
        "replicates": None,
        "policy": {"name": name, "pool": _tuned(*pool), "rate_scale": 1.0},
        **_from_nothing(160),
    }


def _falling(name, warmup=0.0, **arguments):
    """A rule whose update warms up and then falls along a cosine."""
    rule = {"name": name, **arguments}
    return {"name": "cosine", "rule": rule, "warmup": warmup}


def _keras(name, **config):
    """An optimizer of Keras that warms up and falls along a cosine."""
    return _falling(
        "keras", warmup=0.05, optimizer={"name": name, "config": config}
    )


def _general(steps, training, strategy):
    """What the recipes for `General` have in common.

    Args:
        steps: Int. Outer steps of the run.
        training: Dict of further fields of the section `training`.
        strategy: Dict of further fields of the section `strategy`.
    """
    return {
        "policy": {"name": "general"},
        "training": {
            "step_weights": "late",
            "tasks": 1,
            "validation_tasks": 1,
            "parameter_scale_spread": {"whole": 1.5},
            "hidden_horizon": 0.15,
            "gradient_clipping": None,
            **training,
        },
        "optimizer": {
            "config": {"learning_rate": _cosine(3e-3, steps), "beta_2": 0.98}
        },
        "strategy": {
            "name": "simple",
            "unroll": 50,
            "shortest_depth": 1,
            "validation_depth": 20,
            **strategy,
        },
    }


def _amalgamated(family):
    """A teacher that a run with the preset `<family>_base` has trained."""
    teacher = {"name": "choice", "directory": f"results/{family}/base"}
    return {"training": {"teachers": [teacher]}}


#: The presets by name: what each sets, as a nest of dicts and lists.
PRESETS: dict[str, dict[str, Any]] = {
    # teachers
    **{
        name: {
            "training": {"teachers": [{"name": name, "learning_rate": rate}]}
        }
        for name, rate in TEACHER_RATES.items()
    },
    "less_choice": _trained("less_choice"),
    "more_choice": _trained("more_choice"),
    "less_choice_sgd": _trained("less_choice_sgd"),
    # problems
    "conv_train": _problem(name="conv_train"),
    "conv_cifar": _problem(name="conv_train", dataset="cifar10"),
    "conv_avg": _problem(name="conv_avg"),
    "digits_train": _problem(name="digits_train"),
    # the imitation loss
    "il_more": _imitation(0.2, 0.1, 0.05, 0.02),
    "il_adjusted": _imitation(0.2, 0.04, 0.02, 0.01),
    "il_staged": _imitation(1.0, 0.0, 0.0, 0.0),
    "reduce_mean": {"training": {"reduce": "mean"}},
    # the plan
    "cl_fixed": {
        "strategy": {
            "num_periods": 5,
            "repeat_threshold": 0.9,
            "validation_depth": 10,
            "warmup": [0, 1],
            "validation_warmup": 1,
        }
    },
    "nowup": {"strategy": {"warmup": 0, "validation_warmup": 0}},
    "debug": {
        "strategy": {
            "num_periods": 1,
            "unroll": 5,
            "depth": 1,
            "episodes": 1,
            "validation_depth": 1,
        }
    },
    # the student
    "half_depth": {"policy": {"units": [20]}},
    "hard": {"policy": {"hardness": 10.0}},
    # training
    "noscale": {"training": {"parameter_scale_spread": 0.0}},
    "log_teachers": {"training": {"log_teachers": True}},
    "log_losses": {"training": {"log_losses": True}},
    # perturbations
    "fgsm": _perturbation("fgsm", step_size=1e-3),
    "pgd": _perturbation("pgd", magnitude=1e-4, steps=1, norm="inf"),
    "cgd": _perturbation("cgd", magnitude=1e-3, steps=1),
    "gaussian": _perturbation("gaussian", noise_stddev=1e-3),
    "gaussian_rel": _perturbation("gaussian_rel", noise_stddev=5e-4),
    "inoise_1e-1": _perturbation("input_noise", stddev=1e-1),
    "inoise_1e-2": _perturbation("input_noise", stddev=1e-2),
    "inoise_1e-3": _perturbation("input_noise", stddev=1e-3),
    # the families of eight
    "release": {
        "replicates": 8,
        "problems": [{"name": "digits_noisy"}],
        "training": {"tasks": 1, "parameter_scale_spread": 1.0},
        "optimizer": {"config": {"learning_rate": _cosine(1e-3, 160)}},
        "strategy": {
            "name": "simple",
            "num_periods": 8,
            "unroll": 100,
            "depth": 10,
            "shortest_depth": 1,
            "episodes": 2,
            # The student imitates the teachers at first, and in the last
            # periods learns from the loss alone.
            "imitation_weight": [0.1, 0.07, 0.03, 0.0],
        },
    },
    "min_max": _distilled(),
    "mean": _distilled(reduce="mean"),
    "choice_small_base": _choice("less_choice", "rmsprop", "adam"),
    "choice_large_base": _choice("more_choice", *RELEASE_RATES),
    "choice_small": _amalgamated("choice-small"),
    "choice_large": _amalgamated("choice-large"),
    "compact": _compact("digits_noisy_wide", "digits_noisy_mlp"),
    # For a teacher with an LSTM, which is slow: on a smaller problem.
    "compact_narrow": _compact("digits_noisy_narrow"),
    # Further problems for them, of which none is worth more than another.
    "kinds": {
        **_problems(*KINDS),
        "training": {"balance": {"clipping": 1.0, "emphasis": 0.0}},
    },
    # a rule with nothing to set
    "breadth": {"problems": [{"name": name} for name in BREADTH]},
    "general": _general(
        320,
        training={
            "teachers": [
                _falling("adam", learning_rate=rate)
                for rate in (0.003, 0.01, 0.03)
            ],
            "estimator": {"name": "full_unroll"},
            "mode": "meta",
            "floor": 0.02,
            "synchronize_teachers": False,
            "problems_per_step": 5,
            "balance": {"clipping": 1.0, "emphasis": 3.0},
        },
        # Episodes of 50 to 400 inner steps at first, then of 50 to 2,000.
        strategy={
            "num_periods": 16,
            "depth": [*[8] * 10, 40],
            "episodes": 20,
        },
    ),
    # Distillation, from which `general` can start. AdamW's and Muon's settings
    # are those that `benchmarks.unseen.run single` found over these problems.
    "general_base": _general(
        48,
        training={
            "teachers": [
                _keras("adamw", learning_rate=0.0234, weight_decay=0.00886),
                _keras("muon", learning_rate=0.0113, weight_decay=0.00144),
                _falling("momentum", learning_rate=0.3),
                _falling("choice", directory="choice-large-compact/3"),
            ],
            "reduce": "mean",
            "mode": "imitation",
            "synchronize_teachers": True,
            "balance": {"clipping": 1.0, "emphasis": 0.0},
        },
        strategy={"num_periods": 2, "depth": 8, "episodes": 3},
    ),
    "distilled": {
        "policy": {"name": "general", "directory": "results/general/base"}
    },
    "recurrent": {
        "policy": {"name": "rnnprop"},
        **_from_nothing(120),
        "strategy": {
            "num_periods": 6,
            # A large weight at first: without it, three of eight students
            # diverged and did not recover.
            "imitation_weight": [1.0, 0.3, 0.1, 0.03, 0.0],
        },
    },
}


#: The values that every configuration starts from: those in which the code of
#: 2021 differs from the constructors' defaults.
RECIPE: dict[str, Any] = {"training": {"parameter_scale_spread": 3.0}}


def compose(names: Iterable[str]) -> dict[str, Any]:
    """Applies presets to `RECIPE`, one after the other.

    Args:
        names: List of strings, the names of presets.

    Returns:
        Nest of dicts and lists. It shares values with `PRESETS`: copy it before
        you change it.

    Raises:
        ConfigurationError: There is no such preset.

    Example:

    >>> from keras_l2o.config import presets
    >>> presets.compose(["conv_train", "half_depth"])["policy"]
    {'units': [20]}
    """
    nest = RECIPE
    for name in names:
        if name not in PRESETS:
            raise ConfigurationError(
                f"Unknown preset {name!r}.{nearest(name, PRESETS)} "
                f"Known: {', '.join(PRESETS)}"
            )
        nest = _merge(nest, PRESETS[name])
    return nest


def _merge(old, new):
    if isinstance(old, dict) and isinstance(new, dict):
        return {
            key: _merge(old[key], new[key])
            if key in old and key in new
            else (new[key] if key in new else old[key])
            for key in {**old, **new}
        }
    # Lists of dicts, teachers and problems, are joined. A list of numbers, a
    # schedule, is one value.
    if isinstance(old, list) and all(isinstance(x, dict) for x in [*old, *new]):
        return old + [entry for entry in new if entry not in old]
    return new
