import keras


def stateless(step, groups, state, data):
    """Runs a function that assigns variables as one of their values.

    Args:
        step: Function of `data`.
        groups: Tuple of lists of variables.
        state: Their values, a list for each group.
        data: What `step` takes.

    Returns:
        What `step` returns, and the new state.
    """
    mapping = [
        pair
        for variables, values in zip(groups, state)
        for pair in zip(variables, values)
    ]
    with keras.StatelessScope(state_mapping=mapping) as scope:
        result = step(data)
    state = tuple(
        [scope.get_current_value(variable) for variable in variables]
        for variables in groups
    )
    return result, state
