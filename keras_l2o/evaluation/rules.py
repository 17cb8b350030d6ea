"""The analytic rules that optimizers are compared with, by name."""

import difflib

from keras_l2o import policies
from keras_l2o.learned_optimizer import LearnedOptimizer

#: The rules by name: classes of policies.
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


def rule(name: str, rate: float | None = None) -> LearnedOptimizer:
    """A new optimizer that runs an analytic rule.

    Args:
        name: String, one of `RULES`.
        rate: Float. Learning rate of the rule. Defaults to `None`, that in
            `TRAIN_RATES`.

    Returns:
        A `LearnedOptimizer`. It does not skip gradients that are not finite, so
        that it diverges where the rule itself does.

    Raises:
        ValueError: There is no such rule.

    Example:

    >>> from keras_l2o.evaluation import rules
    >>> rules.rule("adam", 0.01).name
    'adam'
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


def named(name: str) -> tuple[str | None, float | None]:
    """Parses the name of a baseline, such as `"adam 0.005"`.

    Evaluations of earlier versions have the rule and its rate in the name only.

    Args:
        name: String, the name of any optimizer.

    Returns:
        A pair of the rule's name and its rate, a float; `(None, None)` if the
        optimizer is no baseline.

    Example:

    >>> from keras_l2o.evaluation import rules
    >>> rules.named("adam 0.005"), rules.named("min-max/1")
    (('adam', 0.005), (None, None))
    """
    rule, _, rate = name.partition(" ")
    try:
        return (rule, float(rate)) if rule in RULES else (None, None)
    except ValueError:
        return None, None
