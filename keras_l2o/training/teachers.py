from keras_l2o import policies


def named_teachers(teachers):
    """Makes policies of the teachers, and a name for each in the logs.

    A policy with trainable weights is copied, and the copy is frozen, so that
    the original can be trained further or used elsewhere.

    Args:
        teachers: List of policies and Keras optimizers, a dict that names
            them, or `None` for Adam and RMSprop at rates tuned on digits.

    Returns:
        List of policies, and list of strings.
    """
    if teachers is None:
        teachers = [policies.Adam(0.03), policies.RMSprop(0.01)]
    if isinstance(teachers, dict):
        names, rules = list(teachers), list(teachers.values())
    else:
        rules, names = list(teachers), []
        for rule in rules:
            if isinstance(rule, policies.KerasOptimizer):
                rule = rule.optimizer
            name = type(rule).__name__.lower()
            count = sum(other.split("_")[0] == name for other in names)
            names.append(f"{name}_{count}" if count else name)
    return [_frozen(policies.as_policy(rule)) for rule in rules], names


def _frozen(policy):
    if not policy.built:
        policy.build(None)
    if policy.trainable_variables:
        policy = policy.copy()
        policy.trainable = False
    return policy
