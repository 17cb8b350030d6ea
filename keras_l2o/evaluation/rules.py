"""The analytic rules that optimizers are compared with, by name."""

import difflib

from keras_l2o import policies
from keras_l2o.learned_optimizer import LearnedOptimizer

RULES = {
    "adam": policies.Adam,
    "rmsprop": policies.RMSprop,
    "sgd": policies.SGD,
    "momentum": policies.Momentum,
    "powersign": policies.PowerSign,
    "addsign": policies.AddSign,
}

#: Rates tuned for the convolutional network of `conv_train`.
TRAIN_RATES = {
    "adam": 0.005,
    "rmsprop": 0.005,
    "sgd": 0.2,
    "momentum": 0.5,
    "powersign": 0.1,
    "addsign": 0.1,
}

#: Rates for deeper networks.
DEEP_RATES = {
    "adam": 1e-3,
    "rmsprop": 5e-4,
    "sgd": 0.2,
    "momentum": 0.2,
    "powersign": 0.05,
    "addsign": 0.05,
}


def rule(name, rate=None):
    """A new optimizer that runs an analytic rule.

    Args:
        name: One of `RULES`.
        rate: Float. Defaults to the rule's in `TRAIN_RATES`.

    Returns:
        A `LearnedOptimizer`, which takes bad gradients as the rule does.
    """
    if name not in RULES:
        near = difflib.get_close_matches(name, RULES, n=1)
        raise ValueError(
            f"Unknown rule {name!r}."
            + (f" Did you mean {near[0]!r}?" if near else "")
            + f" Known: {', '.join(RULES)}"
        )
    return LearnedOptimizer(
        RULES[name](TRAIN_RATES[name] if rate is None else rate),
        name=name,
        skip_nonfinite=False,
    )


def named(name):
    """The rule and the rate of a baseline's name, such as `"adam 0.005"`.

    For evaluations that were stored when the name alone told them.

    Args:
        name: String.

    Returns:
        The rule's name and a float, or `None` twice if it is no such name.
    """
    rule, _, rate = name.partition(" ")
    try:
        return (rule, float(rate)) if rule in RULES else (None, None)
    except ValueError:
        return None, None
